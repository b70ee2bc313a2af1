#pragma once

#include <cmath>
#include <span>
#include <type_traits>

#include "lora/core/matrix.hpp"

namespace lora {

/// Computes the mean over the batch of -log softmax(logits)[label] and its gradient
/// dlogits = (softmax(logits) - onehot(label)) / N.
///
/// logits (N, C), labels N numbers in [0, C), dlogits is resized to (N, C) and may be logits
/// itself. An empty batch gives 0. Throws ShapeError for a wrong number of labels or a label
/// outside [0, C), before anything changes. As torch.nn.functional.cross_entropy.
template <class T>
T cross_entropy(std::type_identity_t<ConstMatrixRef<T>> logits, std::span<const int> labels,
                Matrix<T>& dlogits) {
  const Index n = logits.rows(), classes = logits.cols();
  if (static_cast<Index>(labels.size()) != n)
    throw ShapeError(message("cross_entropy: ", labels.size(), " labels, expected one for each of ",
                             n, " rows of logits"));
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] < 0 || labels[i] >= classes)
      throw ShapeError(message("cross_entropy: label ", i, " is ", labels[i],
                               ", expected a class in [0, ", classes, ")"));
  dlogits.resize(n, classes);
  T loss = 0;
  for (Index i = 0; i < n; ++i) {
    const Index label = labels[static_cast<std::size_t>(i)];
    const T label_logit = logits(i, label);
    const T largest = logits.row(i).maxCoeff();
    dlogits.row(i) = (logits.row(i).array() - largest).exp();
    const T sum = dlogits.row(i).sum();
    loss += std::log(sum) + largest - label_logit;
    dlogits.row(i) /= sum * static_cast<T>(n);
    dlogits(i, label) -= T(1) / static_cast<T>(n);
  }
  return n == 0 ? T(0) : loss / static_cast<T>(n);
}

/// Computes the mean loss alone, as the overload with a gradient does.
template <class Derived>
[[nodiscard]] typename Derived::Scalar cross_entropy(const Eigen::MatrixBase<Derived>& logits,
                                                     std::span<const int> labels) {
  Matrix<typename Derived::Scalar> gradient;
  return cross_entropy(logits.derived(), labels, gradient);
}

}  // namespace lora
