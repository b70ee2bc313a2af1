// Decoders whose weights stay as their files have them: rows and blocks that are looked at, and the
// codes of bitsandbytes, which tests/golden/make_golden_quantised_model.py wrote.

#include <string>

#include <lora/frozen/block_weight.hpp>
#include <lora/frozen/four_bit_weight.hpp>
#include <lora/frozen/half_weight.hpp>
#include <lora/frozen/int8_weight.hpp>
#include <lora/models/llama/llama_model.hpp>
#include <lora/peft/peft_config_file.hpp>

#include "contracts/decoder.hpp"
#include "models/llama/golden_llama.hpp"
#include "support/catch.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

namespace {

using Blocks = BlockWeight<float>;

std::filesystem::path quantised(const std::string& name) {
  return std::filesystem::path(LORA_GOLDEN_DIR) / "quantised_model" / name;
}

template <class Frozen>
void check_codes(const std::string& name) {
  CAPTURE(name);
  check_logits(LlamaModel<float, Frozen>(quantised(name)), GoldenCausal(quantised(name)), "logits");
}

template <class Model>
concept CanMerge = requires(Model& model) {
  model.merge_adapters();
};

}  // namespace

TEST_CASE("a decoder trains over the rows of its files") {
  for (const std::string name : {"llama", "tied", "bfloat16", "float16", "biases"}) {
    CAPTURE(name);
    const auto folder = llama_data(name) / "adapter";
    LlamaModel<float, Blocks> model(llama_data(name), {.tuning = peft::read_peft_config(folder)});
    model.load_adapter(folder);
    check_training(model, GoldenLlama(name));
  }
}

TEST_CASE("a decoder is the same over the rows and blocks of a GGUF") {
  for (const std::string name : {"biases", "tied", "qwen3"}) {
    CAPTURE(name);
    const auto path = std::filesystem::path(LORA_GOLDEN_DIR) / "gguf" / (name + ".gguf");
    LlamaModel<float, Blocks> model(path);
    check_logits(model, GoldenLlama(name), "logits");
    CHECK(model.total_parameters() == LlamaModel<float>(path).total_parameters());
  }
}

TEST_CASE("codes of bitsandbytes are a model in the storage of their format") {
  check_codes<NF4Weight<float>>("nf4");
  check_codes<NF4Weight<float>>("nf4_nested");
  check_codes<FP4Weight<float>>("fp4");
  check_codes<Int8Weight<float>>("int8");
}

TEST_CASE("codes of bitsandbytes are decoded for every other storage") {
  for (const std::string name : {"nf4", "nf4_nested", "fp4", "int8"}) {
    check_codes<PackedWeight<float>>(name);
    check_codes<Blocks>(name);
  }
}

// LoRALinear::merged_weight gives the sum of one layer, as it does for HalfWeight.
TEST_CASE("adapters over codes are not merged") {
  STATIC_REQUIRE(CanMerge<LlamaModel<float>>);
  STATIC_REQUIRE(!CanMerge<LlamaModel<float, HalfWeight<float>>>);
  STATIC_REQUIRE(!CanMerge<LlamaModel<float, Blocks>>);
  STATIC_REQUIRE(!CanMerge<LlamaModel<float, NF4Weight<float>>>);
  STATIC_REQUIRE(!CanMerge<LlamaModel<float, Int8Weight<float>>>);
}
