#include "examples/digits/data.hpp"

#include <cmath>
#include <set>

#include "examples/digits/embedded.hpp"
#include "support/catch.hpp"
#include "support/tolerance.hpp"

using namespace digits;
using lora::test::same_bits;

TEST_CASE("the embedded digits are the published ones") {
  const Samples all = embedded_samples();
  REQUIRE(all.size() == 1797);
  REQUIRE(all.images.cols() == 64);
  std::vector<int> counts(10);
  std::uint64_t hash = 0xCBF29CE484222325;  // FNV-1a, as make_embedded_digits.py prints it
  const auto add = [&hash](int value) {
    hash = (hash ^ static_cast<std::uint64_t>(value)) * 0x100000001B3;
  };
  for (Index i = 0; i < all.size(); ++i) {
    for (Index j = 0; j < 64; ++j) {
      const float dots = all.images(i, j) * 16;
      REQUIRE((dots >= 0 && dots <= 16 && dots == std::round(dots)));
      add(static_cast<int>(dots));
    }
    const int label = all.labels[static_cast<std::size_t>(i)];
    ++counts.at(static_cast<std::size_t>(label));
    add(label);
  }
  // UCI's description of the test set.
  CHECK(counts == std::vector<int>{178, 182, 177, 183, 181, 182, 181, 179, 174, 180});
  CHECK(hash == 0x776869CCE3795967);
}

namespace {

// Samples whose only pixel is their number.
Samples numbered(Index count) {
  Samples all{lora::Matrix<float>(count, 1), {}};
  for (Index i = 0; i < count; ++i) {
    all.images(i, 0) = static_cast<float>(i);
    all.labels.push_back(static_cast<int>(i % 10));
  }
  return all;
}

std::set<float> numbers(const Samples& samples) {
  return {samples.images.data(), samples.images.data() + samples.images.size()};
}

}  // namespace

TEST_CASE("a split shares out every image once, and its test images are those of every seed") {
  const Samples all = numbered(100);
  const Split one = split(all, 1), other = split(all, 2);
  CHECK(one.train.size() == 60);
  CHECK(one.validation.size() == 15);
  CHECK(one.test.size() == 25);
  std::set<float> together = numbers(one.train);
  together.merge(numbers(one.validation));
  together.merge(numbers(one.test));
  CHECK(together == numbers(all));
  for (const Split* each : {&one, &other})
    for (const Samples* part : {&each->train, &each->validation, &each->test})
      for (Index i = 0; i < part->size(); ++i)
        CHECK(part->labels[static_cast<std::size_t>(i)] ==
              static_cast<int>(part->images(i, 0)) % 10);
  CHECK(same_bits(one.test.images, other.test.images));
  CHECK(numbers(one.train) != numbers(other.train));
  CHECK(same_bits(split(all, 1).train.images, one.train.images));
}

TEST_CASE("a task has its own digits, counted from 0") {
  const Samples fives = task(numbered(40), 5, 9);
  REQUIRE(fives.size() == 20);
  for (Index i = 0; i < fives.size(); ++i)
    CHECK(fives.labels[static_cast<std::size_t>(i)] + 5 ==
          static_cast<int>(fives.images(i, 0)) % 10);
  const Split zeros_only{numbered(1), numbered(1), numbered(1)};
  CHECK(task(zeros_only, 0, 4).test.size() == 1);
  CHECK_THROWS_WITH(task(zeros_only, 5, 9),
                    "the data: no image shows a digit from 5 to 9 in one of training, validation "
                    "and test");
}
