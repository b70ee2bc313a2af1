#include <lora/train/split.hpp>

#include <numeric>
#include <set>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;

TEST_CASE("data is split 70 : 15 : 15, every sentence in one part, always the same") {
  std::vector<int> all(1000);
  std::iota(all.begin(), all.end(), 0);
  const auto parts = train::split(all);
  CHECK(parts.train.size() == 700);
  CHECK(parts.validation.size() == 150);
  CHECK(parts.test.size() == 150);
  std::set<int> seen;
  for (const auto* part : {&parts.train, &parts.validation, &parts.test})
    seen.insert(part->begin(), part->end());
  CHECK(seen.size() == 1000);
  CHECK(train::split(all).test == parts.test);
  // Shuffled: published files are sorted by where they come from.
  CHECK_FALSE(std::is_sorted(parts.test.begin(), parts.test.end()));
}

TEST_CASE("too few sentences are refused") {
  for (const std::size_t few : {0U, 1U, 2U, 3U})
    lora::test::check_throws<lora::FileError>(
        [few] { static_cast<void>(train::split(std::vector<int>(few))); },
        "too few to be split in three");
  CHECK(train::split(std::vector<int>(10)).test.size() == 2);
}

TEST_CASE("other shares and another shuffle can be asked for") {
  std::vector<int> all(100);
  std::iota(all.begin(), all.end(), 0);
  const auto parts = train::split(all, {.train_percent = 80, .validation_percent = 10});
  CHECK(parts.train.size() == 80);
  CHECK(parts.validation.size() == 10);
  CHECK(parts.test.size() == 10);
  CHECK(train::split(all, {.seed = 1}).test != train::split(all).test);
  const auto refuse = [&](const train::SplitOptions& options) {
    lora::test::check_throws<ConfigError>([&] { static_cast<void>(train::split(all, options)); },
                                          "expected at least 1 % for each part");
  };
  refuse({.train_percent = 0});
  refuse({.validation_percent = -1});
  refuse({.train_percent = 90, .validation_percent = 10});
  refuse({.train_percent = 2147483647, .validation_percent = 2147483647});
}
