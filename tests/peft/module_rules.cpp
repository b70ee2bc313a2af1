#include <lora/peft/module_rules.hpp>

#include <lora/peft/peft_config_parser.hpp>

#include "support/throws.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::peft;
using namespace lora::test;

namespace {

ModuleRules rules(const std::string& settings) {
  return ModuleRules(parse_peft_config(R"({"peft_type": "LORA", )" + settings + "}", "settings"));
}

}  // namespace

TEST_CASE("an entry of a list is a name in full, or the end of one behind a dot") {
  const ModuleRules list = rules(R"("target_modules": ["q", "x.v", ""])");
  for (const char* name : {"q", "a.q", "a.b.q", "x.v", "a.x.v", "", "q."})
    CHECK(list.is_targeted(name));
  for (const char* name : {"aq", "q.a", "v", "a.v", "ax.v", "a"}) CHECK(!list.is_targeted(name));
  const ModuleRules pattern = rules(R"("target_modules": "q")");
  CHECK(pattern.is_targeted("q"));
  CHECK(!pattern.is_targeted("a.q"));
  CHECK(!rules(R"("target_modules": [])").is_targeted("q"));
  CHECK(!rules(R"("r": 8)").is_targeted("q"));
}

TEST_CASE("what is excluded or stored whole is not adapted") {
  const ModuleRules both = rules(
      R"("target_modules": ".*", "exclude_modules": ["k"], "modules_to_save": ["head", "x"])");
  CHECK(both.is_targeted("a.q"));
  CHECK(both.is_excluded("a.k"));
  CHECK(both.is_excluded("a.head.dense"));
  CHECK(!both.is_excluded("a.heads"));
  CHECK(!both.is_targeted("a.k"));
  CHECK(!both.is_targeted("x"));
}

TEST_CASE("layers are counted behind the first list that has a number") {
  const std::string settings =
      R"("target_modules": ["q", "layers.9.q"], "layers_to_transform": [1, 3], )";
  const ModuleRules any = rules(settings + R"("layers_pattern": null)");
  CHECK(any.is_targeted("m.layers.1.q"));
  CHECK(!any.is_targeted("m.layers.2.q"));
  CHECK(!any.is_targeted("layers.1.q"));  // PEFT wants a part before the list
  CHECK(any.is_targeted("layers.9.q"));   // in full, whatever its layer
  const ModuleRules named = rules(settings + R"("layers_pattern": ["h", "blocks?"])");
  CHECK(named.is_targeted("m.h.3.x.q"));
  CHECK(named.is_targeted("block.1.h.x.q"));
  CHECK(!named.is_targeted("m.layers.1.q"));
  // An empty name of a list stands before a dot, as in PEFT.
  const ModuleRules empty = rules(settings + R"("layers_pattern": [""])");
  CHECK(empty.is_targeted("m..1.q"));
  CHECK(!empty.is_targeted("m.layers.1.q"));
}

TEST_CASE("patterns are fine by themselves and too long inside others") {
  PeftConfig config;
  config.modules_to_save = {std::string(99'995, 'a')};
  check_throws<ConfigError>([&] { ModuleRules rules(config); }, "too long");
}
