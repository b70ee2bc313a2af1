#include <lora/models/common/save_gguf_values.hpp>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <lora/models/common/gguf_adapter.hpp>

#include "peft/small_adapter.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using models::save_gguf_adapter;

namespace {

// Where small_adapter's modules lie; the rows of "block.q" are one head.
const models::GgufAdapterFormat small_values_format{
    "some", {{"block.q", {"blk.0.attn_q.weight", 4}}, {"block.v", {"blk.0.attn_v.weight", 0}}}};

}  // namespace

TEST_CASE("values come back from llama.cpp's form, whatever they are scaled by") {
  const TemporaryDirectory directory;
  const auto path = directory / "a.gguf";
  peft::AdapterValues<float> plain = small_adapter(2, 6, 1);
  save_gguf_adapter(path, plain, small_values_format);
  const auto again = models::GgufAdapter(path, small_values_format).values();
  REQUIRE(again.modules.size() == 2);
  CHECK(again.config.lora_alpha == 6);
  for (const auto& [name, factors] : plain.modules) {
    CHECK(again.modules.at(name).a.value == factors.a.value);
    CHECK(again.modules.at(name).b.value == factors.b.value);
    CHECK(again.modules.at(name).config.scaling() == factors.config.scaling());
  }

  peft::AdapterValues<float> scaled = small_adapter(2, 6, 1);
  scaled.config.use_rslora = true;
  for (auto& [name, factors] : scaled.modules) factors.config.use_rslora = true;
  scaled.modules.at("block.v").config.alpha = 5;
  save_gguf_adapter(path, scaled, small_values_format);
  const auto back = models::GgufAdapter(path, small_values_format).values();
  for (const auto& [name, factors] : scaled.modules)
    CHECK(largest_difference(back.modules.at(name).delta(), factors.delta()) < 1e-5);

  save_gguf_adapter(path, plain, small_values_format, io::GgufType::F16);
  const auto rounded = models::GgufAdapter(path, small_values_format).values();
  CHECK(largest_difference(rounded.modules.at("block.q").b.value,
                           plain.modules.at("block.q").b.value) < 2e-3);
}

TEST_CASE("what llama.cpp's form cannot hold is refused before a file is there") {
  const TemporaryDirectory directory;
  const auto path = directory / "a.gguf";
  const auto refused = [&](const auto& change, const char* part) {
    auto adapter = small_adapter(2, 4, 1);
    change(adapter);
    check_throws<ConfigError>([&] { save_gguf_adapter(path, adapter, small_values_format); }, part);
    CHECK(!std::filesystem::exists(path));
  };
  refused([](auto& adapter) { adapter.modules.at("block.v").config.use_dora = true; },
          "\"block.v\" is adapted with DoRA");
  refused(
      [](auto& adapter) {
        auto& factors = adapter.modules.at("block.v");
        factors.config.lora_bias = true;
        factors.b_bias = {Matrix<float>::Ones(1, 5), {5}};
      },
      "\"block.v\" is adapted with lora_bias");
  refused(
      [](auto& adapter) {
        adapter.config.alora_invocation_tokens = {3, 4};
      },
      "alora_invocation_tokens begin the adapter");
  refused(
      [](auto& adapter) {
        adapter.config.layer_replication = {{0, 1}, {0, 1}};
      },
      "layer_replication repeats layers");
  refused(
      [](auto& adapter) {
        adapter.others["head.weight"] = {Matrix<float>::Zero(2, 3), {2, 3}};
      },
      "\"head.weight\" is stored as a whole");
  refused([](auto& adapter) { adapter.config.init_lora_weights = "pissa"; }, "began with pissa");
  refused([](auto& adapter) { adapter.modules.at("block.q").is_embedding = true; },
          "is an embedding");
  refused([](auto& adapter) { adapter.modules.emplace("block.k", small_factors(4, 2, 6, 4, 1)); },
          "\"block.k\", which is no linear layer of the model, is adapted");
  refused([](auto& adapter) { adapter.modules.emplace("lm_head", small_factors(4, 2, 6, 4, 1)); },
          "the head is tied to the embeddings");
  refused([](auto& adapter) { adapter.modules.clear(); }, "has no adapted module");
  auto cut = small_adapter(2, 4, 1);
  cut.modules.at("block.q").b.value.conservativeResize(3, 2);
  check_throws<ShapeError>([&] { save_gguf_adapter(path, cut, small_values_format); },
                           "has 3 rows, expected heads of 4");
  auto other = small_adapter(2, 4, 1);
  other.modules.at("block.v").config.rank = 3;
  check_throws<ShapeError>([&] { save_gguf_adapter(path, other, small_values_format); },
                           "block.v.lora_A is (2, 6), expected (3, 6)");
}
