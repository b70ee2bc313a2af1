#include <lora/models/llama/llama_config_parser.hpp>

#include <optional>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;
using models::LlamaConfig;

namespace {

LlamaConfig llama_of(const std::string& fields) {
  return models::parse_llama_config("{" + fields + "}", "config.json");
}

}  // namespace

TEST_CASE("absent keys have the defaults of their type in transformers") {
  const LlamaConfig llama = llama_of(R"("model_type": "llama")");
  CHECK(llama.vocab_size == 32000);
  CHECK(llama.num_key_value_heads == 32);
  CHECK(llama.head_dim == 128);
  CHECK(llama.rms_norm_eps == 1e-6);
  CHECK(!llama.attention_bias);
  CHECK(llama.windows.empty());
  const LlamaConfig mistral = llama_of(R"("model_type": "mistral")");
  CHECK(mistral.num_key_value_heads == 8);
  CHECK(mistral.intermediate_size == 14336);
  CHECK(mistral.window(0) == 4096);
  CHECK(mistral.max_position_embeddings == 131072);
  const LlamaConfig qwen2 = llama_of(R"("model_type": "qwen2", "hidden_size": 64)");
  CHECK(qwen2.num_key_value_heads == 32);
  CHECK(qwen2.head_dim == 2);
  CHECK(qwen2.attention_bias);
  CHECK(!qwen2.output_bias);
  CHECK(qwen2.windows.empty());
  const LlamaConfig qwen3 = llama_of(R"("model_type": "qwen3", "hidden_size": 64)");
  CHECK(qwen3.head_dim == 128);
  CHECK(qwen3.query_key_norm);
  CHECK(!qwen3.attention_bias);
}

TEST_CASE("keys are read, null as transformers reads it") {
  const LlamaConfig null = llama_of(
      R"("model_type": "mistral", "num_attention_heads": 4, "num_key_value_heads": null,
         "sliding_window": null, "hidden_size": 16, "head_dim": null)");
  CHECK(null.num_key_value_heads == 4);
  CHECK(null.windows.empty());
  CHECK(null.head_dim == 4);
  const LlamaConfig biases = llama_of(
      R"("model_type": "llama", "attention_bias": true, "mlp_bias": true, "eos_token_id": [2, 5],
         "bos_token_id": 1, "pad_token_id": -1, "tie_word_embeddings": true)");
  CHECK(biases.attention_bias);
  CHECK(biases.output_bias);
  CHECK(biases.mlp_bias);
  CHECK(biases.tie_word_embeddings);
  CHECK(biases.eos_token_ids == std::vector<int>{2, 5});
  CHECK(biases.bos_token_id == 1);
  CHECK(!biases.pad_token_id);
  const LlamaConfig sliding = llama_of(
      R"("model_type": "qwen2", "use_sliding_window": true, "sliding_window": 7,
         "num_hidden_layers": 3, "max_window_layers": 2)");
  CHECK(!sliding.window(1));
  CHECK(sliding.window(2) == 7);
  const LlamaConfig listed = llama_of(
      R"("model_type": "qwen3", "use_sliding_window": true, "sliding_window": 7,
         "num_hidden_layers": 2, "layer_types": ["sliding_attention", "full_attention"])");
  CHECK(listed.window(0) == 7);
  CHECK(!listed.window(1));
}

TEST_CASE("what is not built, and what cannot be, is refused by name") {
  const auto refused = [](const std::string& fields, const std::string& part) {
    CAPTURE(fields);
    check_throws<FileError>([&] { static_cast<void>(llama_of(fields)); }, part);
  };
  refused(R"("a": 1)", "has no \"model_type\"");
  refused(R"("model_type": "gemma")", "model_type is \"gemma\", expected llama, mistral");
  refused(R"("model_type": "mixtral")", "mixtures of experts");
  refused(R"("model_type": "smollm3")", "layers without positions");
  const std::string llama = R"("model_type": "llama", )";
  refused(llama + R"("num_local_experts": 8)", "num_local_experts is 8");
  refused(llama + R"("quantization_config": {"bits": 4})", "quantization_config");
  refused(llama + R"("partial_rotary_factor": 0.5)", "partial_rotary_factor is 0.5");
  refused(llama + R"("hidden_size": 0)", "hidden_size is 0");
  refused(llama + R"("hidden_size": 100, "num_attention_heads": 3)", "multiple of the 3");
  refused(llama + R"("num_key_value_heads": 5)", "multiple of the 5 num_key_value_heads");
  refused(llama + R"("hidden_act": "relu")", "hidden_act is \"relu\", expected silu or a gelu");
  refused(llama + R"("attention_bias": 1)", "attention_bias is 1, expected true or false");
  refused(llama + R"("eos_token_id": [2, 99999])", "eos_token_id");
  refused(llama + R"("rope_scaling": {"rope_type": "longrope", "factor": 2})",
          "longrope is not built");
  const std::string qwen = R"("model_type": "qwen2", "use_sliding_window": true,
    "sliding_window": 7, "num_hidden_layers": 1, )";
  refused(qwen + R"("layer_types": [])", "layer_types is []");
  refused(qwen + R"("layer_types": ["other"])", "layer_types[0] is \"other\"");
}
