#include <lora/peft/module_selection.hpp>

#include <lora/peft/peft_config_parser.hpp>
#include <lora/peft/peft_config_text.hpp>

#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::peft;
using namespace lora::test;

namespace {

Json golden(const std::string& name) {
  const std::string path = LORA_GOLDEN_DIR "/io/" + name;
  return parse_json(read_whole(path), path);
}

PeftConfig config_of(Json settings) {
  settings["peft_type"] = "LORA";
  return parse_peft_config(settings.dump(), "settings");
}

}  // namespace

TEST_CASE("a module is adapted where PEFT adapts it") {
  int adapted = 0, compared = 0;
  for (const Json& row : golden("targets.json")) {
    CAPTURE(row.dump());
    const PeftConfig config = config_of(row.at("settings"));
    CHECK(is_targeted(config, row.at("name").get<std::string>()) == row.at("adapted").get<bool>());
    adapted += row.at("adapted").get<bool>();
    ++compared;
  }
  CHECK(compared > 800);
  CHECK(adapted > 300);
}

TEST_CASE("in whole models, what PEFT adapts and stores is chosen") {
  const std::map<std::string, ModuleKind> kinds{{"linear", ModuleKind::linear},
                                                {"other_layer", ModuleKind::other_layer},
                                                {"no_layer", ModuleKind::no_layer}};
  int refused = 0;
  for (const Json& row : golden("selections.json")) {
    CAPTURE(row.at("model").dump(), row.at("settings").dump());
    std::vector<ModuleName> modules;
    for (const Json& module : row.at("modules"))
      modules.push_back({module.at(0).get<std::string>(), kinds.at(module.at(1))});
    PeftConfig config = config_of(row.at("settings"));
    const auto output_layer = row.at("output_layer").get<std::string>();
    if (row.contains("error")) {
      const std::string before = peft_config_text(config);
      CHECK_THROWS_AS(select_modules(config, modules, output_layer), ConfigError);
      CHECK(peft_config_text(config) == before);
      ++refused;
      continue;
    }
    const ModuleSelection selection = select_modules(config, modules, output_layer);
    CHECK(selection.adapted == row.at("adapted").get<std::vector<std::string>>());
    CHECK(selection.saved == row.at("saved").get<std::vector<std::string>>());
    // What was chosen is what the config, saved and read again, chooses.
    PeftConfig again = parse_peft_config(peft_config_text(config), "again");
    const ModuleSelection repeated = select_modules(again, modules, output_layer);
    CHECK(repeated.adapted == selection.adapted);
    CHECK(repeated.saved == selection.saved);
  }
  CHECK(refused == 4);
}

TEST_CASE("what cannot be selected is an error that says why") {
  const std::vector<ModuleName> modules{{"block", ModuleKind::no_layer},
                                        {"block.q", ModuleKind::linear},
                                        {"my_head", ModuleKind::no_layer},
                                        {"my_head.dense", ModuleKind::linear}};
  const auto refused = [&](const std::string& settings, const std::string& why) {
    PeftConfig config = config_of(parse_json(settings, "settings"));
    check_throws<ConfigError>([&] { static_cast<void>(select_modules(config, modules)); }, why);
  };
  refused("{}", "target_modules selects no module");
  refused(R"({"target_modules": ["block"]})", "\"block\", which cannot be adapted");
  // PEFT's two rules for modules_to_save disagree: "head" stores my_head and excludes nothing.
  refused(R"({"target_modules": ["dense"], "modules_to_save": ["head"]})",
          "stores \"my_head\" whole, but \"my_head.dense\" is to be adapted");
}

TEST_CASE("Conv1D is linear, and fan_in_fan_out is what the last module needs") {
  const std::vector<ModuleName> modules{{"c_attn", ModuleKind::conv1d},
                                        {"embedding", ModuleKind::other_layer},
                                        {"lm_head", ModuleKind::linear}};
  const auto order_of = [&](PeftConfig config) {
    static_cast<void>(select_modules(config, modules, "lm_head"));
    const auto order = config.other.find("fan_in_fan_out");
    return order == config.other.end() ? "absent" : order->second;
  };
  CHECK(order_of({.target_modules = std::string("all-linear")}) == "true");
  CHECK(order_of({.target_modules = std::vector<std::string>{"c_attn", "embedding"},
                  .other = {{"fan_in_fan_out", "false"}}}) == "true");
  CHECK(order_of({.target_modules = std::vector<std::string>{"c_attn", "lm_head"}}) == "false");
  CHECK(order_of({.target_modules = std::vector<std::string>{"lm_head"}}) == "absent");
  CHECK(is_linear(ModuleKind::conv1d));
  CHECK(!is_linear(ModuleKind::other_layer));
}
