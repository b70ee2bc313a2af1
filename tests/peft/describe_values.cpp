#include <lora/peft/describe_values.hpp>

#include "peft/small_adapter.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

TEST_CASE("settings become what is so of the modules") {
  auto adapter = small_adapter(2, 4, 1);
  adapter.modules.emplace("other.fc", small_factors(3, 5, 2, 4, 9));
  adapter.config.r = 77;
  describe_values(adapter);
  CHECK(adapter.config.r == 2);
  CHECK(adapter.config.lora_alpha == 4);
  CHECK(adapter.config.layer_config("other.fc").rank == 5);
  // The list did not select the third.
  const ModuleRules rules(adapter.config);
  for (const auto& [name, factors] : adapter.modules) CHECK(rules.is_targeted(name));
  CHECK_FALSE(rules.is_targeted("block.k"));

  adapter.config.target_modules = "all-linear";
  describe_values(adapter);
  CHECK(adapter.config.target_modules == ModuleNames("all-linear"));
}

TEST_CASE("what a file cannot say is refused, and the settings stay") {
  auto adapter = small_adapter(2, 4, 1);
  adapter.modules.at("block.v").config.use_rslora = true;
  adapter.config.r = 77;
  check_throws<ConfigError>([&] { describe_values(adapter); },
                            "\"block.v\" differs from \"block.q\" in use_rslora");
  CHECK(adapter.config.r == 77);
  AdapterValues<float> empty;
  check_throws<ConfigError>([&] { describe_values(empty); }, "there is no adapted module");
}
