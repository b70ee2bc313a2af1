#include <lora/models/common/save_gguf_adapter.hpp>

#include <filesystem>
#include <string>
#include <vector>

#include <lora/models/llama/llama_gguf_adapter.hpp>
#include <lora/models/llama/llama_model.hpp>

#include "models/llama/golden_llama.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

TEST_CASE("what llama.cpp's adapters cannot hold is refused by name, and no file is written") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "a.gguf";
  const auto unsaved = [&](const peft::PeftConfig& config, const std::string& name,
                           const char* part) {
    LlamaModel<float> model(llama_data(name), {.tuning = config});
    check_throws<ConfigError>([&] { save_gguf_adapter(path, model); }, part);
    CHECK(!std::filesystem::exists(path));
  };
  const std::vector<std::string> head{"lm_head"};
  unsaved({.target_modules = head}, "tied", "the head is tied to the embeddings");
  unsaved({.modules_to_save = {"norm"}}, "llama",
          "\"model.layers.0.input_layernorm.weight\" trains as a whole");
  unsaved({.bias = "lora_only"}, "biases", "trains");
  LlamaModel<float> bare(llama_data("llama"));
  check_throws<StateError>([&] { save_gguf_adapter(path, bare); }, "has no LoRA adapters");
}

TEST_CASE("a saved adapter goes into models that adapt the same, with the same ranks") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "a.gguf";
  LlamaModel<float> model(llama_data("llama"), {.tuning = peft::PeftConfig{.r = 3}});
  save_gguf_adapter(path, model);
  const GgufAdapter adapter(path, gguf_adapter_format(model.config()));
  LlamaModel<float> wider(llama_data("llama"), {.tuning = peft::PeftConfig{.r = 4}});
  check_throws<ConfigError>([&] { adapter.load_into(wider); },
                            "is of rank 4, expected the file's 3");
  LlamaModel<float> other(llama_data("llama"),
                          {.tuning = peft::PeftConfig{.r = 3, .target_modules = {"all-linear"}}});
  check_throws<ConfigError>([&] { adapter.load_into(other); }, "expected the file's 4");
}
