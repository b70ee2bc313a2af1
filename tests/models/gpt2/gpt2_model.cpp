#include <lora/models/gpt2/gpt2_model.hpp>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <lora/frozen/block_weight.hpp>
#include <lora/frozen/mapped_weight.hpp>
#include <lora/generation/generate.hpp>
#include <lora/peft/peft_config_file.hpp>

#include "contracts/decoder.hpp"
#include "contracts/model.hpp"
#include "models/gpt2/golden_gpt2.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

namespace {

const std::vector<std::string> gpt2_cases{"gpt2",  "bare",     "scaled",   "untied", "all_biases",
                                          "saved", "bfloat16", "embedded", "alora",  "tokens"};

template <class T = float, class Frozen = PackedWeight<T>>
GPT2Model<T, Frozen> adapted_gpt2(const std::string& name, bool recompute = false) {
  const auto folder = gpt2_data(name) / "adapter";
  GPT2Model<T, Frozen> model(gpt2_data(name), {.tuning = peft::read_peft_config(folder),
                                               .recompute_activations = recompute});
  model.load_adapter(folder);
  return model;
}

}  // namespace

TEST_CASE("logits of every kind of GPT-2 are transformers'") {
  for (const std::string& name : gpt2_cases) {
    CAPTURE(name);
    check_logits(GPT2Model<float>(gpt2_data(name)), GoldenGPT2(name), "logits");
  }
}

TEST_CASE("logits, loss and gradients of adapted GPT-2s are PEFT's") {
  for (const std::string& name : gpt2_cases)
    for (const bool recompute : {false, true}) {
      CAPTURE(name, recompute);
      GPT2Model<float> model = adapted_gpt2(name, recompute);
      check_training(model, GoldenGPT2(name));
    }
}

// Which lie (in, out) in these files.
TEST_CASE("GPT-2's weights may stay in the numbers of their files") {
  for (const std::string name : {"gpt2", "bare", "untied", "bfloat16", "embedded"}) {
    CAPTURE(name);
    check_logits(adapted_gpt2<float, BlockWeight<float>>(name), GoldenGPT2(name), "adapted_logits");
  }
}

TEST_CASE("GPT-2's storage may map the files, transposed as they are") {
  for (const std::string name : {"bare", "bfloat16"})
    check_logits(adapted_gpt2<float, MappedWeight<float>>(name), GoldenGPT2(name),
                 "adapted_logits");
}

TEST_CASE("an adapter of GPT-2 is saved with PEFT's tensors and settings") {
  for (const std::string& name : gpt2_cases) {
    CAPTURE(name);
    const auto golden = gpt2_data(name) / "adapter";
    GPT2Model<float> model = adapted_gpt2(name);
    const TemporaryDirectory directory;
    model.save_adapter(directory.path());
    const io::SafetensorsReader ours(directory / "adapter_model.safetensors");
    const io::SafetensorsReader theirs(golden / "adapter_model.safetensors");
    for (const auto& [key, tensor] : ours.tensors()) {
      CAPTURE(key);
      REQUIRE(theirs.contains(key));
      CHECK(tensor.shape == theirs.tensor(key).shape);
      CHECK(same_bits(ours.read<float>(key), theirs.read<float>(key)));
    }
    // PEFT stores the base's weight beside an adapted head.
    CHECK(ours.tensors().size() + (name == "untied" ? 1 : 0) == theirs.tensors().size());
    const auto settings = [](const std::filesystem::path& path) {
      io::Json json = io::parse_json(read_whole(path / "adapter_config.json"), "settings");
      std::sort(json["target_modules"].begin(), json["target_modules"].end());
      return json;
    };
    CHECK(settings(directory.path()) == settings(golden));
    GPT2Model<float> again(gpt2_data(name), {.tuning = peft::read_peft_config(directory.path())});
    again.load_adapter(directory.path());
    check_logits(again, GoldenGPT2(name), "adapted_logits");
  }
}

TEST_CASE("what PEFT calls fan_in_fan_out goes by the last module that is adapted") {
  const auto order_of = [](const peft::PeftConfig& config) {
    return GPT2Model<float>(gpt2_data("bare"), {.tuning = config})
        .peft_config()
        .other.at("fan_in_fan_out");
  };
  CHECK(order_of({.r = 2}) == "true");
  CHECK(order_of({.r = 2, .target_modules = std::string("all-linear")}) == "true");
  CHECK(order_of({.target_modules = std::vector<std::string>{"c_attn", "lm_head"},
                  .other = {{"fan_in_fan_out", "true"}}}) == "false");
}

TEST_CASE("GPT-2's gradients agree with finite differences, of weights and positions too") {
  for (const std::string name : {"gpt2", "untied", "bfloat16"}) {
    CAPTURE(name);
    GPT2Model<double> model(gpt2_data(name), {.tuning = FullTuning{}});
    check_slopes(model, GoldenGPT2(name));
  }
}

TEST_CASE("GPT-2's texts do not see each other, and padding on either side changes nothing") {
  check_apart(GPT2Model<float>(gpt2_data("scaled")), GoldenGPT2("scaled"));
}

TEST_CASE("GPT-2 keeps the contract of models, whatever trains below its layers") {
  const GoldenGPT2 golden("bare");
  const std::vector<int> ids{1, 2, 3, 4, 5};
  const std::vector<CausalBatch> batches{golden.batch, CausalBatch(ids, std::vector<int>{2, 3})};
  for (const bool recompute : {false, true}) {
    const auto load = [recompute](const peft::PeftConfig& tuning) {
      return GPT2Model<float>(gpt2_data("bare"), {.tuning = tuning,
                                                  .seed = 3,
                                                  .recompute_activations = recompute,
                                                  .embedding_dropout = 0.1,
                                                  .residual_dropout = 0.2,
                                                  .attention_dropout = 0.1});
    };
    peft::PeftConfig lora{
        .r = 2, .lora_alpha = 4, .lora_dropout = 0.2, .target_modules = std::string("all-linear")};
    model_contract<CausalTape<float>>(load, lora, batches).check();
    lora.modules_to_save = {"lm_head", "wpe", "wte"};
    model_contract<CausalTape<float>>(load, lora, batches).check();
  }
}

TEST_CASE("dropout of GPT-2 is the same when activations are computed again") {
  const GoldenGPT2 golden("bare");
  for (const Tuning& tuning :
       {Tuning(peft::PeftConfig{.r = 2}), Tuning(LastLayers{1}), Tuning(FullTuning{})}) {
    std::vector<Matrix<float>> gradients;
    for (const bool recompute : {false, true}) {
      GPT2Model<float> model(gpt2_data("bare"), {.tuning = tuning,
                                                 .seed = 3,
                                                 .recompute_activations = recompute,
                                                 .embedding_dropout = 0.1,
                                                 .residual_dropout = 0.2,
                                                 .attention_dropout = 0.1});
      randomise(model);
      CausalTape<float> tape(5);
      double mean = 0;
      for (int step = 0; step < 2; ++step) {
        mean = model.loss(golden.batch, golden.labels, tape).mean();
        model.backward(tape);
      }
      CHECK(tape.empty());
      CHECK(std::abs(mean - model.loss(golden.batch, golden.labels).mean()) > 1e-3);
      std::size_t i = 0;
      for (const Parameter<float>* parameter : model.parameters()) {
        CAPTURE(parameter->name);
        CHECK(!parameter->grad.isZero(0));
        if (!recompute)
          gradients.emplace_back(parameter->grad);
        else
          CHECK(same_bits(parameter->grad, gradients[i++]));
      }
    }
  }
}

TEST_CASE("decoding GPT-2 with a cache gives what whole texts give") {
  for (const std::string name : {"gpt2", "bare", "scaled", "untied"}) {
    CAPTURE(name);
    check_decoding(adapted_gpt2(name), GoldenGPT2(name));
  }
}

TEST_CASE("GPT-2 writes a text to its last position, and stops") {
  const GPT2Model<float> model(gpt2_data("bare"));
  CHECK(generation::generate(model, {3, 4}, {.max_new_tokens = 50}).size() == 16 + 1 - 2);
}

TEST_CASE("a second step of GPT-2 allocates nothing, in training and in decoding") {
  for (const std::string name : {"gpt2", "bare"}) {
    GPT2Model<float> model = adapted_gpt2(name);
    check_no_allocations(model, GoldenGPT2(name));
  }
}

TEST_CASE("GPT-2 refuses what it cannot compute, and stays as it was") {
  GPT2Model<float> model = adapted_gpt2("bare");
  check_refusals(model, 16);
}
