#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>

#include "lora/core/matrix.hpp"
#include "lora/core/shared_until_written.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/kernels/product.hpp"

namespace lora {

/// A frozen weight W (out_features, in_features) in a matrix of its own, row-major as in PyTorch.
///
/// With EIGEN_USE_BLAS the BLAS makes its products, in both directions.
template <class T>
class DenseWeight {
 public:
  using Scalar = T;

  /// Takes `weight` (out, in); pass an rvalue to move it in.
  explicit DenseWeight(Matrix<T> weight) : weight_(std::move(weight)) {}

  [[nodiscard]] Index out_features() const { return weight_->rows(); }
  [[nodiscard]] Index in_features() const { return weight_->cols(); }

  /// Adds x W^T to y: x (N, in), y (N, out).
  void add_product(ConstMatrixRef<T> x, MatrixRef<T> y) const {
    lora::add_product(y, T(1), x, weight_->transpose());
  }

  /// Adds dy W to dx: dy (N, out), dx (N, in).
  void add_transposed_product(ConstMatrixRef<T> dy, MatrixRef<T> dx) const {
    lora::add_product(dx, T(1), dy, *weight_);
  }

  /// Returns W^T (in, out) as the right side of products.
  [[nodiscard]] kernels::MatrixPanels<T> panels() const {
    return {{weight_->data(), weight_->outerStride(), 1}};
  }

  /// Returns W (out, in) as the right side of products.
  [[nodiscard]] kernels::MatrixPanels<T> transposed_panels() const {
    return {{weight_->data(), 1, weight_->outerStride()}};
  }

  /// Copies row `output` of W to `to`, `in` numbers: an embedding that a head is tied to.
  void copy_row(Index output, T* to) const {
    std::copy_n(weight_->data() + output * weight_->cols(), weight_->cols(), to);
  }

  /// Returns a copy of W.
  [[nodiscard]] Matrix<T> dense() const { return *weight_; }

  /// Returns W itself.
  [[nodiscard]] const Matrix<T>& matrix() const { return *weight_; }

  /// Returns the bytes of W.
  [[nodiscard]] std::size_t bytes() const {
    return static_cast<std::size_t>(weight_->size()) * sizeof(T);
  }

  [[nodiscard]] bool writable() const { return true; }

  /// Adds scale * b a to W: b (out, R), a (R, in).
  void add_low_rank(T scale, ConstMatrixRef<T> b, ConstMatrixRef<T> a) {
    lora::add_product(weight_.own(), scale, b, a);
  }

  /// Overwrites W with `weight` (out, in).
  void assign(ConstMatrixRef<T> weight) { weight_.own() = weight; }

 private:
  SharedUntilWritten<Matrix<T>> weight_;
};

}  // namespace lora
