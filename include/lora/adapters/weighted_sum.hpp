#pragma once

#include <cstddef>
#include <vector>

#include "lora/core/matrix.hpp"

namespace lora {

/// How several tensors agree on the sign of an element.
enum class MajoritySign {
  total,      ///< that of the sum of their elements
  frequency,  ///< that of the sum of their signs
};

namespace detail {

template <class T, class Where>
void require_sum(const std::vector<Matrix<T>>& tensors, const std::vector<double>& weights,
                 const Where& where) {
  if (tensors.empty() || tensors.size() != weights.size())
    throw ShapeError(message(where, ": ", tensors.size(), " tensors and ", weights.size(),
                             " weights, expected as many, and at least one"));
  for (const Matrix<T>& tensor : tensors)
    require_shape(tensor, tensors.front().rows(), tensors.front().cols(), where, "a tensor");
}

}  // namespace detail

/// Returns sum_i weights[i] tensors[i]: PEFT's task_arithmetic. Throws ShapeError unless all have
/// one shape and there are as many weights, at least one.
template <class T>
[[nodiscard]] Matrix<T> weighted_sum(const std::vector<Matrix<T>>& tensors,
                                     const std::vector<double>& weights) {
  detail::require_sum(tensors, weights, "weighted_sum");
  Matrix<T> sum = static_cast<T>(weights[0]) * tensors[0];
  for (std::size_t i = 1; i < tensors.size(); ++i) sum += static_cast<T>(weights[i]) * tensors[i];
  return sum;
}

/// Returns, for each element, the sum of weights[i] tensors[i] over those tensors whose element has
/// the sign that `sign` elects, divided by their number: TIES-merging's election and disjoint merge
/// (Yadav et al., 2023). As in PEFT the weights have no part in the election, a tie elects plus,
/// and an element is zero where no tensor has the elected sign. Throws as weighted_sum.
template <class T>
[[nodiscard]] Matrix<T> majority_sign_sum(const std::vector<Matrix<T>>& tensors,
                                          const std::vector<double>& weights, MajoritySign sign) {
  detail::require_sum(tensors, weights, "majority_sign_sum");
  Matrix<T> sum(tensors[0].rows(), tensors[0].cols());
  for (Index at = 0; at < sum.size(); ++at) {
    const auto sign_of = [](T value) { return T((value > 0) - (value < 0)); };
    T balance = 0, total = 0;
    int count = 0;
    for (const Matrix<T>& tensor : tensors) {
      const T value = tensor.data()[at];
      balance += sign == MajoritySign::total ? value : sign_of(value);
    }
    const T elected = balance >= 0 ? T(1) : T(-1);
    for (std::size_t i = 0; i < tensors.size(); ++i) {
      const T value = tensors[i].data()[at];
      if (sign_of(value) != elected) continue;
      total += static_cast<T>(weights[i]) * value;
      ++count;
    }
    sum.data()[at] = count > 1 ? total / static_cast<T>(count) : total;
  }
  return sum;
}

}  // namespace lora
