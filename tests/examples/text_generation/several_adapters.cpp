#include "examples/text_generation/several_adapters.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include <lora/peft/combine_adapters.hpp>

#include "examples/serving/tiny_adapters.hpp"
#include "examples/text_generation/load_adapted.hpp"
#include "examples/text_generation/tiny_model.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace textgen;
using namespace lora::test;

namespace {

lora::Matrix<float> logits_with(const Common& common) {
  const auto language = load_adapted<Llama>(common);
  lora::Matrix<float> logits;
  const std::vector<int> ids{5, 9, 2, 77}, lengths{4};
  language.model.logits(lora::models::CausalBatch(ids, lengths), logits);
  return logits;
}

}  // namespace

TEST_CASE("an adapter is named by its path, with a weight behind a colon") {
  CHECK(weighted_path("some/folder").weight == 1);
  CHECK(weighted_path("some/folder:0.5").path == "some/folder");
  CHECK(weighted_path("some/folder:0.5").weight == 0.5);
  CHECK(weighted_path("a:b:-2").path == "a:b");
  CHECK(weighted_path("a:b:-2").weight == -2);
  const TemporaryDirectory folder;
  const std::string there = (folder / "a:1").string();
  std::filesystem::create_directory(there);
  CHECK(weighted_path(there).path == there);
  check_throws<lora::ConfigError>([] { static_cast<void>(weighted_path("a:b")); },
                                  "\"b\" of \"a:b\" is no weight");
  check_throws<lora::ConfigError>([] { static_cast<void>(weighted_path("a:nan")); },
                                  "is no weight");
}

TEST_CASE("several adapters at once compute what their sum computes, in either form") {
  const TemporaryDirectory folder;
  write_tiny_llama(folder / "m.gguf");
  const auto x = tiny_llama_adapter(1), y = tiny_llama_adapter(50);
  lora::peft::save_adapter(folder / "x", x);
  lora::peft::save_adapter(folder / "y", y);
  lora::peft::save_adapter(
      folder / "sum",
      lora::peft::combine_adapters<float>({{&x, 1, "x"}, {&y, -0.5, "y"}},
                                          {.combination_type = lora::combination_type("cat")}));
  Common common;
  common.model = (folder / "m.gguf").string();
  const lora::Matrix<float> base = logits_with(common);
  common.adapter = (folder / "sum").string();
  const lora::Matrix<float> sum = logits_with(common);
  CHECK(largest_difference(sum, base) > 0.1);
  common.adapter.clear();
  common.adapters = {(folder / "x").string(), (folder / "y").string() + ":-0.5"};
  CHECK(largest_difference(logits_with(common), sum) < 1e-4);

  const Llama::Source source(common.model, {});
  save_gguf_adapter(folder / "x.gguf", x, gguf_adapter_format(source.config));
  common.adapters[0] = (folder / "x.gguf").string();
  CHECK(largest_difference(logits_with(common), sum) < 1e-4);

  common.adapters[1] = common.adapters[0];
  check_throws<lora::ConfigError>([&] { logits_with(common); }, "already");
}
