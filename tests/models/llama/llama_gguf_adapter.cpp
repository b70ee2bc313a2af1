#include <lora/models/llama/llama_gguf_adapter.hpp>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include <lora/models/llama/llama_model.hpp>
#include <lora/peft/peft_config_file.hpp>

#include "models/llama/golden_llama.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

namespace {

LlamaModel<float> loaded_llama(const std::string& name) {
  LlamaModel<float> model(llama_data(name),
                          {.tuning = peft::read_peft_config(llama_data(name) / "adapter")});
  model.load_adapter(llama_data(name) / "adapter");
  return model;
}

Matrix<float> logits_of(const LlamaModel<float>& model, const std::string& name) {
  Matrix<float> logits;
  model.logits(GoldenLlama(name).batch, logits);
  return logits;
}

io::GgufWriter adapter_file(const std::string& type = "adapter",
                            const std::string& architecture = "llama") {
  io::GgufWriter writer;
  writer.set("general.type", type);
  writer.set("general.architecture", architecture);
  writer.set("adapter.type", "lora");
  return writer;
}

}  // namespace

// rsLoRA, patterns of rank and alpha, heads that lie otherwise, none of them: q and k of every
// kind.
TEST_CASE("an adapter is the same after llama.cpp's format, whatever it is scaled by") {
  const TemporaryDirectory directory;
  for (const std::string name : {"tied", "qwen2", "qwen3", "mistral", "head_dim"}) {
    CAPTURE(name);
    LlamaModel<float> model = loaded_llama(name);
    const auto path = directory.path() / (name + ".gguf");
    save_gguf_adapter(path, model);
    const GgufAdapter adapter(path, gguf_adapter_format(model.config()));
    CHECK(adapter.skipped().empty());
    LlamaModel<float> again(llama_data(name), {.tuning = adapter.config()});
    adapter.load_into(again);
    CHECK(largest_difference(logits_of(again, name), logits_of(model, name)) < 1e-5);
  }
}

TEST_CASE("rows of heads lie as llama.cpp turns them, and alpha and scale are its own") {
  const TemporaryDirectory directory;
  LlamaModel<float> model = loaded_llama("tied");  // rsLoRA of rank 3, alpha 6
  save_gguf_adapter(directory.path() / "a.gguf", model);
  const io::GgufReader file(directory.path() / "a.gguf");
  CHECK(file.metadata().text("general.architecture") == "llama");
  CHECK(file.metadata().number("adapter.lora.alpha") == 6);
  const io::GgufTensor& b = file.tensor("blk.0.attn_q.weight.lora_b");
  CHECK(b.shape == io::Shape{16, 3});
  Matrix<float> values(16, 3);
  io::decode_gguf(b.type, b.bytes.data(), 48, values.data());
  for (const auto& layer : model.adapted_layers())
    if (layer.name() == "model.layers.0.self_attn.q_proj") {
      const Matrix<float> own = layer.tensors(layer.config())[1].parameter->value;
      // alpha / sqrt(3) = (alpha / 3) sqrt(3); row 2 of a head of four rows lies second.
      CHECK(largest_difference(values.row(1), std::sqrt(3.0F) * own.row(2)) < 1e-6);
      CHECK(largest_difference(values.row(4), std::sqrt(3.0F) * own.row(4)) < 1e-6);
    }
}

TEST_CASE("an adapter without alpha is not scaled") {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "a.gguf";
  io::GgufWriter writer = adapter_file();
  const std::vector<float> ones(64, 1.0F);
  writer.add("blk.1.ffn_down.weight.lora_a", io::GgufType::F16, {2, 24}, ones.data());
  writer.add("blk.1.ffn_down.weight.lora_b", io::GgufType::F16, {16, 2}, ones.data());
  writer.add("blk.1.attn_v.weight.lora_a", io::GgufType::F32, {1, 16}, ones.data());
  writer.add("blk.1.attn_v.weight.lora_b", io::GgufType::F32, {8, 1}, ones.data());
  writer.add("blk.1.attn_norm.weight", io::GgufType::F32, {16}, ones.data());
  writer.write(path);
  const GgufAdapter adapter(path, gguf_adapter_format(read_llama_config(llama_data("llama"))));
  CHECK(adapter.skipped() == std::vector<std::string>{"blk.1.attn_norm.weight"});
  LlamaModel<float> model(llama_data("llama"), {.tuning = adapter.config()});
  adapter.load_into(model);
  const auto layers = model.adapted_layers();
  REQUIRE(layers.size() == 2);
  for (const auto& layer : layers) CHECK(layer.config().scaling() == 1);
}

TEST_CASE("Llama's adapters are named by what their models are in llama.cpp") {
  const auto format = gguf_adapter_format(read_llama_config(llama_data("mistral")));
  CHECK(format.architecture == "llama");
  CHECK(format.places.at("model.layers.1.self_attn.k_proj").name == "blk.1.attn_k.weight");
  CHECK(format.places.at("model.layers.1.self_attn.k_proj").head_rows > 0);
  CHECK(format.places.at("model.layers.0.mlp.down_proj").head_rows == 0);
  const auto tied = gguf_adapter_format(read_llama_config(llama_data("tied")));
  CHECK(!tied.places.contains("lm_head"));
}
