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

TEST_CASE("parts of a module that PEFT wraps as a whole share its rank and its name") {
  auto adapter = small_adapter(2, 4, 1);
  adapter.config.target_modules = std::vector<std::string>{"q", "v", "attn"};
  adapter.modules.emplace("attn", small_factors(9, 3, 3, 6, 5));
  adapter.modules.emplace("attn.base_layer.out_proj", small_factors(3, 3, 3, 6, 6));
  describe_values(adapter);
  CHECK(adapter.config.r == 2);
  CHECK(adapter.config.rank_pattern.entries().size() == 1);
  for (const char* name : {"attn", "attn.base_layer.out_proj"}) {
    CHECK(adapter.config.layer_config(name).rank == 3);
    CHECK(adapter.config.layer_config(name).alpha == 6);
  }
  // The list selects what PEFT wraps, and stays.
  CHECK(adapter.config.target_modules == ModuleNames(std::vector<std::string>{"q", "v", "attn"}));

  adapter.config.r = 77;
  adapter.modules.at("attn.base_layer.out_proj") = small_factors(3, 2, 3, 6, 6);
  check_throws<ConfigError>([&] { describe_values(adapter); },
                            "\"attn.base_layer.out_proj\" has rank 2 and alpha 6, and \"attn\", of "
                            "which PEFT takes it for a part, 3 and 6");
  CHECK(adapter.config.r == 77);
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
