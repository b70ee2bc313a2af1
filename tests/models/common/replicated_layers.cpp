#include <lora/models/common/replicated_layers.hpp>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

TEST_CASE("ranges of layers follow each other as layer_replication has them") {
  const auto sources = [](std::vector<std::pair<Index, Index>> ranges) {
    return replicated_layers(peft::PeftConfig{.layer_replication = std::move(ranges)}, 5, "Model");
  };
  CHECK(sources({{0, 4}, {2, 5}}) == std::vector<Index>{0, 1, 2, 3, 2, 3, 4});
  CHECK(sources({{4, 5}, {2, 2}, {0, 1}}) == std::vector<Index>{4, 0});
  CHECK(sources({}).empty());
  CHECK(replicated_layers(FullTuning{}, 5, "Model").empty());
  check_throws<ConfigError>(
      [&] {
        static_cast<void>(sources({{0, 6}}));
      },
      "Model: layer_replication has [0, 6], expected layers in [0, 5]");
  check_throws<ConfigError>([&] { static_cast<void>(sources({{2, 2}})); }, "has no layer");
  check_throws<ConfigError>([&] { static_cast<void>(sources({{-1, 2}})); }, "[-1, 2]");
}
