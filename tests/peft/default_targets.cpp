#include <lora/peft/default_targets.hpp>

#include <algorithm>

#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::peft;
using namespace lora::test;

TEST_CASE("every model type of PEFT has PEFT's default targets, and no other has any") {
  const std::string path = LORA_GOLDEN_DIR "/io/default_targets.json";
  std::size_t types = 0;
  for (const Json& row : parse_json(read_whole(path), path)) {
    const auto type = row.at(0).get<std::string>();
    CAPTURE(type);
    const ModuleNames targets = default_targets(type);
    if (row.at(1).is_string())
      CHECK(targets == ModuleNames(row.at(1).get<std::string>()));
    else
      CHECK(targets == ModuleNames(row.at(1).get<std::vector<std::string>>()));
    ++types;
  }
  CHECK(types == std::size(peft_default_targets));
  CHECK(std::is_sorted(std::begin(peft_default_targets), std::end(peft_default_targets),
                       [](const auto& a, const auto& b) { return a.model_type < b.model_type; }));
  for (const char* none : {"", "distilbert", "vit", "Bert"})
    CHECK(default_targets(none) == ModuleNames());
}

TEST_CASE("only what is left out becomes the default") {
  PeftConfig config;
  set_default_targets(config, "bert");
  CHECK(config.target_modules == ModuleNames(std::vector<std::string>{"query", "value"}));
  set_default_targets(config, "gpt2");
  CHECK(config.target_modules == ModuleNames(std::vector<std::string>{"query", "value"}));
  config.target_modules = std::vector<std::string>{};
  set_default_targets(config, "gpt2");
  CHECK(config.target_modules == ModuleNames(std::vector<std::string>{}));
  config.target_modules = {};
  check_throws<ConfigError>([&] { set_default_targets(config, "vit"); },
                            "no default for models of type \"vit\"");
  CHECK(config.target_modules == ModuleNames());
}
