#pragma once

#include <lora/frozen/frozen_weight.hpp>

#include <utility>

namespace lora::test {

/// A storage that models FrozenWeight and nothing else: loops over a matrix.
template <class T>
struct PlainWeight {
  using Scalar = T;

  explicit PlainWeight(Matrix<T> w) : weight(std::move(w)) {}

  [[nodiscard]] Index out_features() const { return weight.rows(); }
  [[nodiscard]] Index in_features() const { return weight.cols(); }
  [[nodiscard]] Matrix<T> dense() const { return weight; }
  [[nodiscard]] std::size_t bytes() const {
    return static_cast<std::size_t>(weight.size()) * sizeof(T);
  }
  void add_product(ConstMatrixRef<T> x, MatrixRef<T> y) const {
    for (Index n = 0; n < x.rows(); ++n)
      for (Index o = 0; o < out_features(); ++o) y(n, o) += x.row(n).dot(weight.row(o));
  }
  void add_transposed_product(ConstMatrixRef<T> dy, MatrixRef<T> dx) const {
    for (Index n = 0; n < dy.rows(); ++n)
      for (Index o = 0; o < out_features(); ++o) dx.row(n) += dy(n, o) * weight.row(o);
  }

  Matrix<T> weight;
};

}  // namespace lora::test
