#include <lora/models/llama/llama_outline.hpp>

#include <algorithm>
#include <string>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("a decoder's modules are transformers', in their order") {
  models::LlamaConfig config{.model_type = "qwen3", .num_hidden_layers = 2, .query_key_norm = true};
  const models::ModelOutline outline = models::llama_outline(config);
  CHECK(outline.model_type == "qwen3");
  CHECK(outline.output_embedding == "lm_head");
  CHECK(outline.blocks == std::vector<std::string>{"model.layers.0", "model.layers.1"});
  const auto has = [&](const std::string& name) {
    return std::any_of(outline.modules.begin(), outline.modules.end(),
                       [&](const auto& module) { return module.name == name; });
  };
  CHECK(has("model.layers.1.self_attn.q_norm"));
  CHECK(outline.modules.front().name.empty());
  CHECK(outline.modules[2].name == "model.embed_tokens");
  CHECK(outline.modules.back().name == "lm_head");
  CHECK(outline.modules.size() == 4 + 2 * 15 + 3);
  config.query_key_norm = false;
  CHECK(models::llama_outline(config).modules.size() == 4 + 2 * 13 + 3);
}
