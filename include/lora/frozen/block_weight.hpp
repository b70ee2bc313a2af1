#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/frozen/block_codes.hpp"
#include "lora/frozen/coded_weight.hpp"

namespace lora {

/// A frozen weight W (out_features, in_features) as it lies in a GGUF file or in a safetensors file
/// of float32, float16 or bfloat16: rows of blocks, which stay as they are. Where the file is
/// mapped nothing is copied, and processes that map it share its pages. Bytes a weight: Q4_0
/// 0.5625, Q4_1 0.625, Q5_0 0.6875, Q5_1 0.75, Q8_0 1.0625, Q4_K 0.5625, Q5_K 0.6875, Q6_K 0.82,
/// F16 and BF16 2, F32 4.
///
/// Products are those of T with the numbers that the blocks stand for, to the bit those of
/// gguf-py 0.19. Const calls may run at once.
template <class T>
class BlockWeight : public CodedWeight<T, BlockCodes> {
 public:
  /// Looks at the blocks of W (out, in), row by row, in memory that outlives this object, or that
  /// `owner` keeps alive; bytes() says `owned`, for a copy that `owner` was made to hold. Throws
  /// ShapeError for rows that are no whole number of blocks, and for another number of bytes than
  /// they take.
  BlockWeight(kernels::BlockFormat format, std::span<const std::byte> blocks, Index out_features,
              Index in_features, std::shared_ptr<const void> owner = nullptr, std::size_t owned = 0)
      : CodedWeight<T, BlockCodes>(
            viewed(format, blocks, out_features, in_features, std::move(owner), owned)) {}

  /// Returns `weight` (out, in) rounded to the format as gguf-py does it. Throws ConfigError for a
  /// format that is only read (Q4_K, Q5_K, Q6_K), for a number that is not finite, and for a finite
  /// one that is beyond the format's largest; ShapeError for rows that are no whole blocks.
  [[nodiscard]] static BlockWeight encoded(kernels::BlockFormat format, ConstMatrixRef<T> weight) {
    return kernels::visit_format(format, [&]<class Block>(Block) -> BlockWeight {
      if constexpr (requires(const float* in, std::uint8_t* to) { Block::encode(in, to); }) {
        const Index out = weight.rows(), in = weight.cols();
        require_whole_blocks<Block>(in);
        constexpr Index size = kernels::block_weights<Block>;
        const Index row_bytes = in / size * Block::bytes;
        auto blocks =
            std::make_shared<std::vector<std::uint8_t>>(static_cast<std::size_t>(out * row_bytes));
        for (Index o = 0; o < out; ++o) {
          Scratch scratch;
          auto* const row = scratch.take<float>(in);
          for (Index i = 0; i < in; ++i) row[i] = finite(weight(o, i), o, i);
          std::uint8_t* to = blocks->data() + o * row_bytes;
          for (Index i = 0; i < in; i += size, to += Block::bytes) {
            Block::encode(row + i, to);
            check_scale<Block>(to, o, i);
          }
        }
        const std::span<const std::uint8_t> bytes(*blocks);
        return BlockWeight(
            viewed(format, std::as_bytes(bytes), out, in, std::move(blocks), bytes.size()));
      } else {
        throw ConfigError(
            "BlockWeight: this format is read, and not written; F32, F16, BF16, Q4_0, Q4_1, "
            "Q5_0, Q5_1 and Q8_0 are");
      }
    });
  }

  /// Returns the format of the blocks.
  [[nodiscard]] kernels::BlockFormat format() const { return this->codes().format(); }

 private:
  explicit BlockWeight(BlockCodes codes) : CodedWeight<T, BlockCodes>(std::move(codes)) {}

  static BlockCodes viewed(kernels::BlockFormat format, std::span<const std::byte> blocks,
                           Index out, Index in, std::shared_ptr<const void> owner,
                           std::size_t owned) {
    if (out < 0 || in < 0) throw ShapeError(message("BlockWeight: W is (", out, ", ", in, ")"));
    kernels::visit_format(format, [&]<class Block>(Block) {
      require_whole_blocks<Block>(in);
      // Divided, so that no product of untrusted sizes can wrap around.
      const Index row_blocks = in / kernels::block_weights<Block>;
      if (row_blocks > std::numeric_limits<Index>::max() / Block::bytes - 1 ||
          in > std::numeric_limits<Index>::max() - kernels::run_length)
        throw ShapeError(message("BlockWeight: W is (", out, ", ", in, ")"));
      const auto row = static_cast<std::size_t>(row_blocks * Block::bytes);
      const bool fits =
          row == 0 || out == 0
              ? blocks.empty()
              : blocks.size() % row == 0 && blocks.size() / row == static_cast<std::size_t>(out);
      if (!fits)
        throw ShapeError(message("BlockWeight: ", blocks.size(), " bytes of blocks, expected ", out,
                                 " rows of ", row));
    });
    return {format, reinterpret_cast<const std::uint8_t*>(blocks.data()), out, in, std::move(owner),
            owned};
  }

  template <class Block>
  static void require_whole_blocks(Index in) {
    if (in % kernels::block_weights<Block> != 0)
      throw ShapeError(message("BlockWeight: rows of ", in, " weights, expected whole blocks of ",
                               kernels::block_weights<Block>));
  }

  static float finite(T value, Index o, Index i) {
    if (!is_finite(value))
      throw ConfigError(message("BlockWeight: W(", o, ", ", i, ") = ", value, " is not finite"));
    return static_cast<float>(value);
  }

  // A scale beyond the largest half would make infinite weights of finite ones.
  template <class Block>
  static void check_scale(const std::uint8_t* block, Index o, Index i) {
    float numbers[static_cast<std::size_t>(kernels::block_weights<Block>)];
    Block::decode(block, numbers);
    for (const float number : numbers)
      if (!is_finite(number))
        throw ConfigError(kernels::block_weights<Block> == 1
                              ? message("BlockWeight: W(", o, ", ", i, ") does not fit the format")
                              : message("BlockWeight: W(", o, ", ", i,
                                        ") and its neighbours do not fit a block's scale, of 16 "
                                        "bits"));
  }
};

}  // namespace lora
