#include <lora/optim/parameter_group.hpp>

#include <cmath>
#include <vector>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a name belongs to the first group that it contains a part of") {
  const std::vector<ParameterGroup> groups{{.name_contains = "lora_B", .learning_rate_ratio = 16},
                                           {.name_contains = "q.", .weight_decay = 0.0},
                                           {.name_contains = "head"}};
  CHECK(group_of(groups, "q.lora_B.weight") == &groups[0]);
  CHECK(group_of(groups, "q.lora_A.weight") == &groups[1]);
  CHECK(group_of(groups, "head") == &groups[2]);
  CHECK(group_of(groups, "k.lora_A.weight") == nullptr);
  CHECK(group_of({}, "q") == nullptr);
  const std::vector<ParameterGroup> all{{.name_contains = ""}};
  CHECK(group_of(all, "anything") == all.data());
  const std::vector<ParameterGroup> whole{{.name_contains = "ln.weight", .whole_name = true}};
  CHECK(group_of(whole, "ln.weight") == whole.data());
  CHECK(group_of(whole, "h.0.ln.weight") == nullptr);
}

TEST_CASE("a group's numbers are checked") {
  const auto check = [](const ParameterGroup& group) { validate({{group}}, "here"); };
  CHECK_NOTHROW(check({.name_contains = "a", .learning_rate_ratio = 0, .weight_decay = 0.0}));
  for (const double bad : {-1.0, std::nan(""), HUGE_VAL}) {
    check_throws<ConfigError>([&] { check({.name_contains = "a", .learning_rate_ratio = bad}); },
                              "here: a group's learning_rate_ratio");
    check_throws<ConfigError>([&] { check({.name_contains = "a", .weight_decay = bad}); },
                              "here: a group's weight_decay");
  }
}
