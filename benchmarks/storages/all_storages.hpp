#pragma once

#include <lora/frozen/block_weight.hpp>
#include <lora/frozen/dense_weight.hpp>
#include <lora/frozen/four_bit_weight.hpp>
#include <lora/frozen/half_weight.hpp>
#include <lora/frozen/int8_weight.hpp>
#include <lora/frozen/packed_weight.hpp>
#include <lora/kernels/amx_tiles.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "random_blocks.hpp"
#include "storage_under_test.hpp"

namespace lora::bench {

/// Returns a W (out, in) of random blocks, which has no original to be held to.
template <class Block>
[[nodiscard]] StorageUnderTest random_storage(std::string name, kernels::BlockFormat format,
                                              Index out, Index in,
                                              std::initializer_list<std::ptrdiff_t> scales) {
  const auto blocks =
      std::make_shared<const std::vector<std::byte>>(random_blocks<Block>(out, in, scales));
  return storage_under_test(std::move(name), BlockWeight<float>(format, *blocks, out, in, blocks),
                            nullptr, blocks->size());
}

/// Returns `weight` (out, in) in every storage, float32 first; `in` is a multiple of 256, for the
/// largest blocks.
[[nodiscard]] inline std::vector<StorageUnderTest> all_storages(const Matrix<float>& weight) {
  using Format = kernels::BlockFormat;
  std::vector<StorageUnderTest> storages;
  const auto add = [&](std::string name, auto storage) {
    storages.push_back(storage_under_test(std::move(name), std::move(storage), &weight));
  };
  const auto add_blocks = [&](std::string name, Format format) {
    add(std::move(name), BlockWeight<float>::encoded(format, weight));
  };
  add("float32", PackedWeight<float>(weight));
  add("float32 as in a file", DenseWeight<float>(weight));
  add("bfloat16", HalfWeight<float>(weight, {.tiles = TileUse::none}));
  if (kernels::AmxTiles::available()) {
    add("bfloat16 AMX split", HalfWeight<float>(weight, {.tiles = TileUse::split}));
    add("bfloat16 AMX rounded", HalfWeight<float>(weight, {.tiles = TileUse::rounded}));
  }
  add_blocks("bfloat16 as in a file", Format::BF16);
  add_blocks("float16 as in a file", Format::F16);
  add("int8", Int8Weight<float>(weight));
  add_blocks("Q8_0", Format::Q8_0);
  storages.push_back(random_storage<kernels::BlockQ6_K>("Q6_K", Format::Q6_K, weight.rows(),
                                                        weight.cols(), {208}));
  add_blocks("Q5_1", Format::Q5_1);
  add_blocks("Q4_1", Format::Q4_1);
  add_blocks("Q4_0", Format::Q4_0);
  storages.push_back(random_storage<kernels::BlockQ4_K>("Q4_K", Format::Q4_K, weight.rows(),
                                                        weight.cols(), {0, 2}));
  add("NF4", NF4Weight<float>(weight));
  add("NF4 double quantised", NF4Weight<float>(weight, {.double_quantised = true}));
  add("FP4", FP4Weight<float>(weight));
  return storages;
}

}  // namespace lora::bench
