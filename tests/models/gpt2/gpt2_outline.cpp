#include <lora/models/gpt2/gpt2_outline.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace lora;

// As GPT2LMHeadModel(...).named_modules() of transformers 5.24.0 lists them.
TEST_CASE("GPT-2's modules are transformers', in their order") {
  const models::ModelOutline outline = models::gpt2_outline({.n_layer = 2});
  CHECK(outline.model_type == "gpt2");
  CHECK(outline.blocks == std::vector<std::string>{"transformer.h.0", "transformer.h.1"});
  CHECK(outline.output_embedding == "lm_head");
  const std::vector<std::string> layer{"",
                                       ".ln_1",
                                       ".attn",
                                       ".attn.c_attn",
                                       ".attn.c_proj",
                                       ".attn.attn_dropout",
                                       ".attn.resid_dropout",
                                       ".ln_2",
                                       ".mlp",
                                       ".mlp.c_fc",
                                       ".mlp.c_proj",
                                       ".mlp.act",
                                       ".mlp.dropout"};
  std::vector<std::string> expected{
      "", "transformer", "transformer.wte", "transformer.wpe", "transformer.drop", "transformer.h"};
  for (const std::string& block : outline.blocks)
    for (const std::string& part : layer) expected.push_back(block + part);
  expected.insert(expected.end(), {"transformer.ln_f", "lm_head"});
  std::vector<std::string> names;
  int conv1d = 0;
  for (const peft::ModuleName& module : outline.modules) {
    names.push_back(module.name);
    conv1d += module.kind == peft::ModuleKind::conv1d ? 1 : 0;
  }
  CHECK(names == expected);
  CHECK(conv1d == 8);
}
