#include <lora/optim/parameter_group.hpp>

#include <array>
#include <limits>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a parameter belongs to the first group whose text its name contains") {
  const std::array<ParameterGroup, 3> groups{
      ParameterGroup{.name_contains = "lora_B", .learning_rate_ratio = 16},
      ParameterGroup{.name_contains = "query", .weight_decay = 0.5},
      ParameterGroup{.name_contains = "", .learning_rate_ratio = 2}};
  CHECK(group_of(groups, "query.lora_B") == groups[0]);
  CHECK(group_of(groups, "query.lora_A") == groups[1]);
  CHECK(group_of(groups, "head.weight") == groups[2]);
  CHECK(group_of(std::span(groups).first(2), "head.weight") == ParameterGroup{});
  CHECK(group_of({}, "anything").learning_rate_ratio == 1);
  CHECK_FALSE(group_of({}, "anything").weight_decay.has_value());
}

TEST_CASE("groups with numbers below zero, infinite or NaN are refused") {
  const double inf = std::numeric_limits<double>::infinity();
  for (const double bad : {-1.0, inf, -inf, std::numeric_limits<double>::quiet_NaN()}) {
    CAPTURE(bad);
    const std::array ratio{ParameterGroup{.learning_rate_ratio = bad}};
    check_throws<ConfigError>([&] { validate(ratio, "AdamW"); },
                              "AdamW: a group's learning_rate_ratio is ");
    const std::array decay{ParameterGroup{.weight_decay = bad}};
    check_throws<ConfigError>([&] { validate(decay, "AdamW"); },
                              "AdamW: a group's weight_decay is ");
  }
  const std::array zero{ParameterGroup{.learning_rate_ratio = 0, .weight_decay = 0.0}};
  CHECK_NOTHROW(validate(zero, "AdamW"));
}
