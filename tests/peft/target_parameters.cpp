#include <lora/peft/target_parameters.hpp>

#include <lora/peft/describe_values.hpp>
#include <lora/peft/module_selection.hpp>
#include <lora/peft/peft_config_file.hpp>
#include <lora/peft/peft_config_text.hpp>
#include <lora/peft/values_writer.hpp>

#include "peft/small_adapter.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

namespace {

using Names = std::vector<std::string>;

PeftConfig config_with(Names parameters, ModuleNames modules = Names{}) {
  PeftConfig config;
  config.target_modules = std::move(modules);
  config.target_parameters = std::move(parameters);
  return config;
}

Names adapted_by(PeftConfig config) {
  const std::vector<ModuleName> modules{
      {"h.0", ModuleKind::no_layer},     {"h.0.q", ModuleKind::linear},
      {"h.0.mlp.q", ModuleKind::linear}, {"h.0.old_q", ModuleKind::linear},
      {"h.0.c", ModuleKind::conv1d},     {"h.0.norm", ModuleKind::no_layer},
      {"table", ModuleKind::other_layer}};
  return select_modules(config, modules).adapted;
}

}  // namespace

TEST_CASE("target_parameters select weights by the ends of their names, behind a dot") {
  CHECK(adapted_by(config_with({"q.weight"})) == Names{"h.0.q", "h.0.mlp.q"});
  CHECK(adapted_by(config_with({"0.q.weight", "old_q.weight"})) == Names{"h.0.q", "h.0.old_q"});
  CHECK(adapted_by(config_with({"h.0.q.weight"}, Names{"old_q"})) == Names{"h.0.q", "h.0.old_q"});
  // What takes modules out does not count for them, as in PEFT.
  PeftConfig config = config_with({"q.weight"});
  config.exclude_modules = Names{"q"};
  config.layers_to_transform = {7};
  CHECK(adapted_by(config) == Names{"h.0.q", "h.0.mlp.q"});
}

TEST_CASE("target_parameters that are not weights of linear layers alone are refused by name") {
  const auto refused = [](const PeftConfig& config, const std::string& why) {
    check_throws<ConfigError>([&] { static_cast<void>(adapted_by(config)); }, why);
  };
  refused(config_with({"q.weight", "gone.weight"}),
          "target_parameters has \"gone.weight\", which is the weight of no module");
  refused(config_with({"c.weight"}), "\"h.0.c\", expected of linear layers alone: a Conv1D's is");
  refused(config_with({"norm.weight"}), "would be the weight of \"h.0.norm\", expected of linear");
  refused(config_with({"table.weight"}), "would be the weight of \"table\", expected of linear");
  refused(config_with({"weight"}), "\"weight\", which would be the weight of \"h.0\"");
  refused(config_with({"q.weight"}, Names{"q"}),
          "is the weight of \"h.0.q\", and target_modules has that too");
  PeftConfig config = config_with({"q.weight"});
  config.modules_to_save = {"q"};
  refused(config, "modules_to_save stores \"h.0.q\" whole");
  refused(config_with({"q.weight"}, Names{"c"}),
          "target_parameters and fan_in_fan_out are set, which exclude each other");
}

TEST_CASE("target_parameters go with no setting that PEFT refuses beside them") {
  const auto refused = [](const PeftConfig& config, const std::string& why) {
    check_throws<ConfigError>([&] { check_target_parameters(config); }, why);
  };
  for (const char* entry : {"experts.down_proj", "q.bias", "h.c_attn.weight", "c_proj.weight",
                            "wte.weight", "embed_tokens.weight", ""})
    refused(config_with({"q.weight", entry}), message("target_parameters has \"", entry, "\""));
  const auto with = [&](auto PeftConfig::*setting, auto value, const char* key) {
    PeftConfig config = config_with({"q.weight"});
    config.*setting = value;
    refused(config, message("target_parameters and ", key, " are set"));
    config.target_parameters = {};
    CHECK_NOTHROW(check_target_parameters(config));
  };
  with(&PeftConfig::lora_dropout, 0.1, "lora_dropout");
  with(&PeftConfig::use_dora, true, "use_dora");
  with(&PeftConfig::lora_bias, true, "lora_bias");
  with(&PeftConfig::alora_invocation_tokens, std::vector<int>{1}, "alora_invocation_tokens");
}

TEST_CASE("patterns know a layer by its weight's name where target_parameters has that") {
  PeftConfig config = config_with({"q.weight"}, Names{"v"});
  config.rank_pattern.add("q", 5);
  config.rank_pattern.add("v", 6);
  config.alpha_pattern.add("q.weight", 7.0);
  CHECK(config.layer_config("h.q").rank == 8);
  CHECK(config.layer_config("h.q").alpha == 7.0);
  CHECK(config.layer_config("h.v").rank == 6);
  CHECK(config.pattern_name("h.q") == "h.q.weight");
  CHECK(config.pattern_name("h.v") == "h.v");
}

TEST_CASE("values keep target_parameters while they describe them, and read back") {
  AdapterValues<float> adapter = small_adapter(2, 3, 1);
  adapter.config.target_modules = Names{"v"};
  adapter.config.target_parameters = {"q.weight"};
  adapter.modules.at("block.q") = small_factors(4, 3, 6, 3, 5);
  describe_values(adapter);
  CHECK(adapter.config.target_parameters == Names{"q.weight"});
  CHECK(adapter.config.target_modules == ModuleNames(Names{"v"}));
  CHECK(adapter.config.layer_config("block.q").rank == 3);
  const TemporaryDirectory directory;
  save_adapter(directory.path(), adapter);
  const AdapterValues<float> again = read_adapter<float>(directory.path());
  CHECK(peft_config_text(again.config) == peft_config_text(adapter.config));
  CHECK(again.modules.at("block.q").config.rank == 3);

  // Of another module only target_modules can tell, and the factors are the same there.
  adapter.modules.emplace("block.k", small_factors(4, 2, 6, 3, 7));
  describe_values(adapter);
  CHECK(adapter.config.target_parameters.empty());
  for (const char* name : {"block.q", "block.k", "block.v"})
    CHECK(is_targeted(adapter.config, name));
  CHECK(adapter.config.layer_config("block.q").rank == 3);

  // A list that grows by what the file has tensors of leaves out what they have.
  adapter.config = config_with({"q.weight"}, Names{"v", "k"});
  adapter.config.r = 2;
  adapter.config.lora_alpha = 3;
  adapter.config.rank_pattern.add("q.weight", 3);
  save_adapter(directory.path(), adapter);
  adapter.config.target_modules = Names{"v"};
  write_whole(directory.path() / "adapter_config.json", peft_config_text(adapter.config));
  CHECK(read_peft_config(directory.path()).target_modules ==
        ModuleNames(Names{"block.k", "block.v"}));
}
