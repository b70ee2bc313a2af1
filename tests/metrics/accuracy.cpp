#include <lora/metrics/accuracy.hpp>

#include <optional>
#include <vector>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::metrics;

TEST_CASE("accuracy is the share of labels that were predicted, over all batches") {
  Accuracy accuracy;
  CHECK(accuracy.value() == 0);
  accuracy.add(std::vector{1, 0, 2}, std::vector{1, 1, 2});
  accuracy.add(std::vector{3}, std::vector{3});
  accuracy.add({}, {});
  CHECK(accuracy.correct() == 3);
  CHECK(accuracy.total() == 4);
  CHECK(accuracy.value() == 0.75);
}

TEST_CASE("labels that no loss counts are not counted") {
  const std::vector labels{-100, 1, -100, 0}, predicted{0, 1, -100, 1};
  Accuracy accuracy, all(std::nullopt), other(0);
  accuracy.add(labels, predicted);
  CHECK(accuracy.value() == 0.5);
  all.add(labels, predicted);
  CHECK(all.total() == 4);
  CHECK(all.value() == 0.5);
  other.add(labels, predicted);
  CHECK(other.total() == 3);
}

TEST_CASE("a batch that does not fit is refused and not counted") {
  Accuracy accuracy;
  CHECK_THROWS_WITH(accuracy.add(std::vector{1, 2}, std::vector{1}),
                    "Accuracy::add: 1 predictions, expected 2, one for each label");
  CHECK(accuracy.total() == 0);
}
