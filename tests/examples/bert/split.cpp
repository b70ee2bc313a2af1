#include "examples/bert/split.hpp"

#include <numeric>
#include <set>

#include "support/catch.hpp"
#include "support/throws.hpp"

TEST_CASE("data is split 70 : 15 : 15, every sentence in one part, always the same") {
  std::vector<int> all(1000);
  std::iota(all.begin(), all.end(), 0);
  const auto parts = bert::split(all);
  CHECK(parts.train.size() == 700);
  CHECK(parts.validation.size() == 150);
  CHECK(parts.test.size() == 150);
  std::set<int> seen;
  for (const auto* part : {&parts.train, &parts.validation, &parts.test})
    seen.insert(part->begin(), part->end());
  CHECK(seen.size() == 1000);
  CHECK(bert::split(all).test == parts.test);
  // Shuffled: published files are sorted by where they come from.
  CHECK_FALSE(std::is_sorted(parts.test.begin(), parts.test.end()));
}

TEST_CASE("too few sentences are refused") {
  for (const std::size_t few : {0, 1, 2, 3})
    lora::test::check_throws<lora::FileError>(
        [few] { static_cast<void>(bert::split(std::vector<int>(few))); },
        "too few to be split in three");
  CHECK(bert::split(std::vector<int>(10)).test.size() == 2);
}
