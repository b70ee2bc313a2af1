#pragma once

#include <cstddef>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"

namespace lora::metrics {

/// Returns the class of the largest logit of each row of logits (N, C), the first of equal ones.
/// Throws ShapeError where there are rows but no classes, and ConfigError, naming the element, for
/// a logit that is not finite.
template <class Logits>
[[nodiscard]] std::vector<int> predicted_classes(const Eigen::MatrixBase<Logits>& logits) {
  if (logits.rows() > 0 && logits.cols() == 0)
    throw ShapeError(message("predicted_classes: logits is (", logits.rows(),
                             ", 0), expected at least one class"));
  std::vector<int> classes(static_cast<std::size_t>(logits.rows()), 0);
  for (Index row = 0; row < logits.rows(); ++row) {
    int& best = classes[static_cast<std::size_t>(row)];
    for (Index c = 0; c < logits.cols(); ++c) {
      if (!is_finite(logits(row, c)))
        throw ConfigError(message("predicted_classes: element (", row, ", ", c, ") of logits is ",
                                  logits(row, c), ", expected a finite number"));
      if (logits(row, c) > logits(row, best)) best = static_cast<int>(c);
    }
  }
  return classes;
}

}  // namespace lora::metrics
