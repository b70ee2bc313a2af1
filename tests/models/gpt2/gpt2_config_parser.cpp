#include <lora/models/gpt2/gpt2_config_parser.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;
using models::GPT2Config;

namespace {

GPT2Config gpt2_of(const std::string& fields) {
  return models::parse_gpt2_config(R"({"model_type": "gpt2")" + fields + "}", "config.json");
}

}  // namespace

TEST_CASE("absent keys of GPT-2 have the defaults of transformers") {
  const GPT2Config config = gpt2_of("");
  CHECK(config.vocab_size == 50257);
  CHECK(config.n_positions == 1024);
  CHECK(config.n_inner == 3072);
  CHECK(config.activation_function == Activation::gelu_tanh);
  CHECK(config.attn_pdrop == 0.1);
  CHECK(config.scale_attn_weights);
  CHECK(config.tie_word_embeddings);
  CHECK(config.bos_token_id == 50256);
  CHECK(config.eos_token_ids == std::vector<int>{50256});
  CHECK(!config.pad_token_id);
}

TEST_CASE("keys of GPT-2 are read, by transformers' common names too") {
  const GPT2Config config = gpt2_of(
      R"(, "hidden_size": 8, "max_position_embeddings": 9, "num_attention_heads": 2,
         "num_hidden_layers": 3, "vocab_size": 70, "n_inner": null, "resid_pdrop": 0.5,
         "scale_attn_weights": false, "tie_word_embeddings": false, "eos_token_id": [3, 69, 70],
         "bos_token_id": 70, "pad_token_id": 4, "activation_function": "silu",
         "reorder_and_upcast_attn": true, "n_ctx": 1, "pruned_heads": {})");
  CHECK(config.n_embd == 8);
  CHECK(config.n_positions == 9);
  CHECK(config.n_head == 2);
  CHECK(config.n_layer == 3);
  CHECK(config.n_inner == 32);
  CHECK(config.resid_pdrop == 0.5);
  CHECK(!config.scale_attn_weights);
  CHECK(!config.tie_word_embeddings);
  CHECK(config.eos_token_ids == std::vector<int>{3, 69});
  CHECK(!config.bos_token_id);
  CHECK(config.pad_token_id == 4);
  CHECK(config.activation_function == Activation::silu);
  CHECK(gpt2_of(R"(, "n_embd": 12, "hidden_size": 24)").n_embd == 12);
  CHECK(!gpt2_of(R"(, "bos_token_id": null)").bos_token_id);
  CHECK(gpt2_of(R"(, "vocab_size": 50)").eos_token_ids.empty());
}

TEST_CASE("what is not built of GPT-2, and what cannot be, is refused by name") {
  check_throws<FileError>([] { static_cast<void>(models::parse_gpt2_config("{}", "config.json")); },
                          "config.json: has no \"model_type\", expected gpt2");
  check_throws<FileError>(
      [] {
        static_cast<void>(
            models::parse_gpt2_config(R"({"model_type": "gpt_bigcode"})", "config.json"));
      },
      "model_type is \"gpt_bigcode\", expected gpt2");
  const auto refused = [](const std::string& fields, const std::string& part) {
    CAPTURE(fields);
    check_throws<FileError>([&] { static_cast<void>(gpt2_of(fields)); }, part);
  };
  refused(R"(, "add_cross_attention": true)",
          "add_cross_attention is true, expected false: attention to an encoder is not built");
  refused(R"(, "quantization_config": {"bits": 4})", "no other quantisation is read");
  refused(R"(, "pruned_heads": {"0": [1]})", "layers that lack heads are not built");
  refused(R"(, "n_embd": 10, "n_head": 3)", "n_embd is 10, expected a multiple of the 3 n_head");
  refused(R"(, "n_layer": -1)", "n_layer is -1");
  refused(R"(, "activation_function": "quick_gelu")", "activation_function is \"quick_gelu\"");
  refused(R"(, "attn_pdrop": 1)", "attn_pdrop is 1, expected a number in [0, 1)");
  refused(R"(, "scale_attn_weights": 1)", "scale_attn_weights is 1, expected true or false");
  refused(R"(, "eos_token_id": "x")", "eos_token_id");
}
