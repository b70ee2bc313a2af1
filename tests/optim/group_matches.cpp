#include <lora/optim/group_matches.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a group that nothing matches is named, and one behind another that takes all of its") {
  const std::vector<ParameterGroup> groups{
      {.name_contains = "lora"}, {.name_contains = "lora_B"}, {.name_contains = "head"}};
  GroupMatches matches;
  check_throws<ConfigError>([&] { matches.require_all(groups, "here"); },
                            "here: the group \"lora\" matches no parameter");
  matches.note(groups, "q.lora_A.weight");
  matches.note(groups, "q.lora_B.weight");
  matches.note(groups, "other");
  check_throws<ConfigError>([&] { matches.require_all(groups, "here"); },
                            "here: the group \"lora_B\" matches no parameter");
  CHECK_NOTHROW(matches.require_all(std::vector<ParameterGroup>{groups[0]}, "here"));
}

TEST_CASE("a group may be said to match nothing") {
  const std::vector<ParameterGroup> groups{{.name_contains = "bias", .may_match_nothing = true}};
  CHECK_NOTHROW(GroupMatches().require_all(groups, "here"));
  CHECK_NOTHROW(GroupMatches().require_all({}, "here"));
}
