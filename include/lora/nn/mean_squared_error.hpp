#pragma once

#include <optional>

#include "lora/core/elementwise.hpp"
#include "lora/core/output.hpp"
#include "lora/core/scratch.hpp"

namespace lora {

/// Settings of a mean_squared_error.
struct MeanSquaredErrorOptions {
  /// The number of elements that the mean is over: those of y where it is empty. Where a batch goes
  /// through the model in parts, the number of the whole batch: losses and gradients of the parts
  /// then add up to those of the batch.
  std::optional<Index> elements = {};
};

/// Computes the mean squared error of y (N, D) against target (N, D), and its gradient:
///
///     loss = sum over all elements of (y - target)^2 / n,  dy = 2 (y - target) / n,
///
/// n the number of elements N D, or options.elements. dy (N, D) may be y or target itself, but no
/// other part of their memory. An empty y has the loss 0, where PyTorch's is NaN. Throws ShapeError
/// for a target of another shape and ConfigError for fewer elements than y has, before anything
/// changes. Source: torch.nn.MSELoss.
template <class T>
T mean_squared_error(ConstMatrixRef<T> y, ConstMatrixRef<T> target,
                     const MeanSquaredErrorOptions& options, Output<T> dy) {
  namespace ei = Eigen::internal;
  const Index n = y.rows(), d = y.cols(), count = options.elements.value_or(y.size());
  require_shape(target, n, d, "mean_squared_error", "target");
  if (count < y.size())
    throw ConfigError(message("mean_squared_error: elements is ", count, ", expected at least the ",
                              y.size(), " of y ", shape_of(y)));
  const auto scale = ei::pset1<Packet<T>>(count > 0 ? T(2) / static_cast<T>(count) : T(0));

  MatrixRef<T> gradient = dy.shaped_elementwise(n, d, "mean_squared_error", "dy", {y, target});
  Scratch scratch;
  T* losses = scratch.take<T>(n);  // summed in one order, whatever the threads
  for_each_row(n, d, 16, [&](Index row) {
    const T* in = y.data() + row * y.outerStride();
    const T* wanted = target.data() + row * target.outerStride();
    losses[row] = packets::sum<T>(
        d,
        [](const Packet<T>& a, const Packet<T>& b) {
          const Packet<T> difference = ei::psub(a, b);
          return ei::pmul(difference, difference);
        },
        in, wanted);
    packets::transform(
        d, gradient.data() + row * gradient.outerStride(),
        [&](const Packet<T>& a, const Packet<T>& b) { return ei::pmul(ei::psub(a, b), scale); }, in,
        wanted);
  });
  T sum = 0;
  for (Index row = 0; row < n; ++row) sum += losses[row];
  return count > 0 ? sum / static_cast<T>(count) : T(0);
}

/// Does the same for the scalar of y.
template <class Y>
typename Y::Scalar mean_squared_error(const Eigen::MatrixBase<Y>& y,
                                      ConstMatrixRef<typename Y::Scalar> target,
                                      const MeanSquaredErrorOptions& options,
                                      Output<typename Y::Scalar> dy) {
  return mean_squared_error<typename Y::Scalar>(y.derived(), target, options, dy);
}

/// Computes the mean over y's own elements and its gradient, as torch.nn.MSELoss does by default.
template <class T>
T mean_squared_error(ConstMatrixRef<T> y, ConstMatrixRef<T> target, Output<T> dy) {
  return mean_squared_error<T>(y, target, MeanSquaredErrorOptions{}, dy);
}

/// Does the same for the scalar of y.
template <class Y>
typename Y::Scalar mean_squared_error(const Eigen::MatrixBase<Y>& y,
                                      ConstMatrixRef<typename Y::Scalar> target,
                                      Output<typename Y::Scalar> dy) {
  return mean_squared_error<typename Y::Scalar>(y.derived(), target, dy);
}

/// Computes the loss alone, as the overloads with a gradient do.
template <class Y>
[[nodiscard]] typename Y::Scalar mean_squared_error(const Eigen::MatrixBase<Y>& y,
                                                    ConstMatrixRef<typename Y::Scalar> target,
                                                    const MeanSquaredErrorOptions& options = {}) {
  Matrix<typename Y::Scalar> gradient;
  return mean_squared_error(y, target, options, gradient);
}

}  // namespace lora
