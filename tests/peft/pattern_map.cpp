#include <lora/peft/pattern_map.hpp>

#include <lora/io/json.hpp>

#include "support/allocations.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::peft;
using namespace lora::test;

TEST_CASE("the first pattern that PEFT would take decides") {
  const std::string path = LORA_GOLDEN_DIR "/io/pattern_keys.json";
  int found = 0;
  for (const Json& row : parse_json(read_whole(path), path)) {
    CAPTURE(row.dump());
    PatternMap<int> map;
    int number = 0;
    for (const Json& key : row.at("keys")) map.add(key.get<std::string>(), number++);
    const int* value = map.find(row.at("name").get<std::string>());
    CHECK((value != nullptr ? *value : -1) == row.at("first").get<int>());
    found += value != nullptr;
  }
  CHECK(found > 30);
}

TEST_CASE("a pattern that is refused leaves the map as it was") {
  PatternMap<int> map;
  CHECK(map.empty());
  map.add("a", 1);
  CHECK_THROWS_AS(map.add("(", 2), ConfigError);
  CHECK(map.entries().size() == 1);
  CHECK(map.find("b") == nullptr);
  CHECK(*map.find("x.a") == 1);
}

TEST_CASE("many patterns of a few characters cannot ask for much memory") {
  PatternMap<int> map;
  check_throws<ConfigError>(
      [&] {
        for (int i = 0; i < 1000; ++i) map.add("a{9000}", i);
      },
      "the patterns are too many");
  CHECK(map.entries().size() < 300);
}
