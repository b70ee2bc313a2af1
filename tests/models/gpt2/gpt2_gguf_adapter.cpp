#include <lora/models/gpt2/gpt2_gguf_adapter.hpp>

#include <filesystem>
#include <string>
#include <vector>

#include <lora/models/gpt2/gpt2_model.hpp>
#include <lora/peft/peft_config_file.hpp>

#include "models/gpt2/golden_gpt2.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

TEST_CASE("GPT-2's adapters are the same after llama.cpp's format") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "a.gguf";
  for (const std::string name : {"gpt2", "all_linear"}) {
    CAPTURE(name);
    const GoldenGPT2 golden("gpt2");
    peft::PeftConfig tuning = peft::read_peft_config(gpt2_data("gpt2") / "adapter");
    if (name == "all_linear") tuning.target_modules = "all-linear";
    GPT2Model<float> model(gpt2_data("gpt2"), {.tuning = tuning});
    if (name == "gpt2") model.load_adapter(gpt2_data("gpt2") / "adapter");
    // B starts as zeros, with which every adapter is the same.
    if (name == "all_linear")
      for (auto* parameter : model.parameters()) parameter->value.array() += 0.05F;
    Matrix<float> expected, logits;
    model.logits(golden.batch, expected);
    save_gguf_adapter(path, model);
    const GgufAdapter adapter(path, gguf_adapter_format(model.config()));
    GPT2Model<float> again(gpt2_data("gpt2"), {.tuning = adapter.config()});
    adapter.load_into(again);
    again.logits(golden.batch, logits);
    CHECK(largest_difference(logits, expected) < 1e-5);
    if (name == "gpt2")
      CHECK(largest_difference(logits, golden.reader.read<float>("adapted_logits")) < 2e-5);
  }
}

TEST_CASE("factors lie in a GGUF as llama.cpp multiplies by them, under its names") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "a.gguf";
  peft::PeftConfig tuning{.r = 3};
  tuning.target_modules = "all-linear";
  GPT2Model<float> model(gpt2_data("all_biases"), {.tuning = tuning});
  save_gguf_adapter(path, model);
  const io::GgufReader file(path);
  CHECK(file.metadata().text("general.architecture") == "gpt2");
  CHECK(file.tensors().size() == 16);
  CHECK(file.tensor("blk.0.attn_qkv.weight.lora_a").shape == io::Shape{3, 16});
  CHECK(file.tensor("blk.0.attn_qkv.weight.lora_b").shape == io::Shape{48, 3});
  CHECK(file.tensor("blk.1.attn_output.weight.lora_a").shape == io::Shape{3, 16});
  CHECK(file.tensor("blk.1.ffn_up.weight.lora_b").shape == io::Shape{24, 3});
  CHECK(file.tensor("blk.1.ffn_down.weight.lora_a").shape == io::Shape{3, 24});
}

TEST_CASE("what llama.cpp's GPT-2 cannot hold is refused by name") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "a.gguf";
  const auto unsaved = [&](const peft::PeftConfig& config, const std::string& name,
                           const char* part) {
    GPT2Model<float> model(gpt2_data(name), {.tuning = config});
    check_throws<ConfigError>([&] { save_gguf_adapter(path, model); }, part);
    CHECK(!std::filesystem::exists(path));
  };
  unsaved({.target_modules = std::vector<std::string>{"lm_head"}}, "all_biases",
          "the head is tied to the embeddings");
  unsaved({.bias = "lora_only"}, "all_biases",
          "the bias of \"transformer.h.0.attn.c_attn\" trains");
  unsaved({}, "scaled", "activation_function is not gelu_new");
  GPT2Config config;
  CHECK(gguf_adapter_format(config).places.at("transformer.h.7.mlp.c_proj").name ==
        "blk.7.ffn_down.weight");
  CHECK(!gguf_adapter_format(config).places.contains("lm_head"));
  config.scale_attn_by_inverse_layer_idx = true;
  check_throws<ConfigError>([&] { static_cast<void>(gguf_adapter_format(config)); },
                            "attention is not scaled by 1 / sqrt(n_embd / n_head)");
}

// What llama.cpp's converter makes of PEFT's factors for Conv1D.
TEST_CASE("transposed factors of c_attn do not pass for an adapter") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "a.gguf";
  io::GgufWriter writer;
  writer.set("general.type", "adapter");
  writer.set("general.architecture", "gpt2");
  writer.set("adapter.type", "lora");
  const std::vector<float> zeros(64);
  writer.add("blk.0.attn_qkv.weight.lora_a", io::GgufType::F32, {1, 48}, zeros.data());
  writer.add("blk.0.attn_qkv.weight.lora_b", io::GgufType::F32, {16, 1}, zeros.data());
  writer.write(path);
  const GgufAdapter adapter(path, gguf_adapter_format(read_gpt2_config(gpt2_data("gpt2"))));
  GPT2Model<float> model(gpt2_data("gpt2"), {.tuning = adapter.config()});
  check_throws<ShapeError>([&] { adapter.load_into(model); }, "");
}

TEST_CASE("factors that do not fit leave every layer as it was") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "a.gguf";
  io::GgufWriter writer;
  writer.set("general.type", "adapter");
  writer.set("general.architecture", "gpt2");
  writer.set("adapter.type", "lora");
  const std::vector<float> ones(64, 1.0F);
  writer.add("blk.0.attn_qkv.weight.lora_a", io::GgufType::F32, {1, 16}, ones.data());
  writer.add("blk.0.attn_qkv.weight.lora_b", io::GgufType::F32, {48, 1}, ones.data());
  writer.add("blk.0.ffn_up.weight.lora_a", io::GgufType::F32, {1, 16}, ones.data());
  writer.add("blk.0.ffn_up.weight.lora_b", io::GgufType::F32, {16, 1}, ones.data());
  writer.write(path);
  const GgufAdapter adapter(path, gguf_adapter_format(read_gpt2_config(gpt2_data("gpt2"))));
  GPT2Model<float> model(gpt2_data("gpt2"), {.tuning = adapter.config()});
  check_throws<ShapeError>([&] { adapter.load_into(model); },
                           "transformer.h.0.mlp.c_fc.lora_B.weight");
  int trained = 0;
  for (const auto* parameter : model.parameters())
    if (parameter->name.ends_with("lora_B.weight")) {
      CHECK(parameter->value.isZero());
      ++trained;
    }
  CHECK(trained == 2);
}
