#include <lora/metrics/predicted_classes.hpp>

#include <limits>
#include <vector>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::metrics;

TEST_CASE("a row's class is that of its largest logit, of equal ones the first") {
  Matrix<float> logits(4, 3);
  logits << 1, 2, 3, -1, -2, -3, 5, 7, 7, 0, 0, 0;
  CHECK(predicted_classes(logits) == std::vector{2, 0, 1, 0});
  CHECK(predicted_classes(logits.leftCols(1)) == std::vector{0, 0, 0, 0});
  CHECK(predicted_classes(Matrix<double>(0, 3)).empty());
  CHECK(predicted_classes(Matrix<double>(0, 0)).empty());
}

TEST_CASE("logits of which no class follows are refused") {
  Matrix<double> logits = Matrix<double>::Zero(2, 2);
  logits(1, 0) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(predicted_classes(logits),
                    "predicted_classes: element (1, 0) of logits is nan, expected a finite number");
  logits(1, 0) = std::numeric_limits<double>::infinity();
  CHECK_THROWS_AS(predicted_classes(logits), ConfigError);
  CHECK_THROWS_WITH(predicted_classes(Matrix<double>(2, 0)),
                    "predicted_classes: logits is (2, 0), expected at least one class");
}
