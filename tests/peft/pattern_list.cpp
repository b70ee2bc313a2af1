#include <lora/peft/pattern_list.hpp>

#include "support/throws.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

TEST_CASE("a list of patterns matches where one of them does") {
  PatternList list;
  CHECK(list.empty());
  CHECK(!list.any_matches(""));
  list.add("a+");
  list.add("b|c");
  CHECK(list.any_matches("aaa"));
  CHECK(list.any_matches("c"));
  CHECK(!list.any_matches("ab"));
  CHECK(std::distance(list.begin(), list.end()) == 2);
}

TEST_CASE("a list holds a thousand full names, and not what a few characters ask for") {
  PatternList names;
  for (int i = 0; i < 1000; ++i)
    names.add(message("model.language_model.layers.", i, ".self_attn.out_proj.lora_magnitude"));
  PatternList list;
  check_throws<ConfigError>(
      [&] {
        for (int i = 0; i < 1000; ++i) list.add("(.*){3000}");
      },
      "the patterns are too many");
  CHECK(std::distance(list.begin(), list.end()) < 100);
  CHECK_THROWS_AS(list.add("("), ConfigError);
}
