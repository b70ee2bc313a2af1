#pragma once

#include "lora/core/elementwise.hpp"
#include "lora/core/output.hpp"
#include "lora/nn/sequences.hpp"

namespace lora {

/// Computes y (sequences, D): row b is the mean of the tokens of sequence b among the rows of x
/// (N, D), zeros for a sequence without tokens. y is no part of x. Throws ShapeError. As
/// sentence-transformers' mean pooling.
template <class T>
void mean_pooling(ConstMatrixRef<T> x, const Sequences& sequences, Output<T> y) {
  constexpr const char* where = "mean_pooling";
  require_shape(x, sequences.rows(), x.cols(), where, "x", "rows of the sequences");
  MatrixRef<T> out = y.shaped(sequences.size(), x.cols(), where, "y", {x});
  const double rows_each =
      static_cast<double>(x.rows()) / static_cast<double>(std::max<Index>(1, sequences.size()));
  for_each_row(out.rows(), out.cols(), 16 * rows_each, [&](Index b) {
    const auto& sequence = sequences[b];
    out.row(b).setZero();
    if (sequence.tokens == 0) return;
    for (Index i = sequence.first; i < sequence.last; ++i)
      if (sequences.is_token(sequence.begin + i)) out.row(b) += x.row(sequence.begin + i);
    out.row(b) /= static_cast<T>(sequence.tokens);
  });
}

/// Does the same for the scalar of x.
template <class X>
void mean_pooling(const Eigen::MatrixBase<X>& x, const Sequences& sequences,
                  Output<typename X::Scalar> y) {
  mean_pooling<typename X::Scalar>(x.derived(), sequences, y);
}

/// Computes the gradient dx (N, D) of mean_pooling's input from dy (sequences, D): dy of the
/// sequence over its number of tokens for a token, zeros for padding. dx is no part of dy. Throws
/// ShapeError.
template <class T>
void mean_pooling_backward(ConstMatrixRef<T> dy, const Sequences& sequences, Output<T> dx) {
  constexpr const char* where = "mean_pooling_backward";
  require_shape(dy, sequences.size(), dy.cols(), where, "dy", "sequences");
  MatrixRef<T> out = dx.shaped(sequences.rows(), dy.cols(), where, "dx", {dy});
  const double rows_each =
      static_cast<double>(out.rows()) / static_cast<double>(std::max<Index>(1, sequences.size()));
  for_each_row(dy.rows(), dy.cols(), 16 * rows_each, [&](Index b) {
    const auto& sequence = sequences[b];
    for (Index row = sequence.begin; row < sequence.begin + sequence.rows; ++row)
      if (sequences.is_token(row))
        out.row(row) = dy.row(b) / static_cast<T>(sequence.tokens);
      else
        out.row(row).setZero();
  });
}

/// Does the same for the scalar of dy.
template <class Y>
void mean_pooling_backward(const Eigen::MatrixBase<Y>& dy, const Sequences& sequences,
                           Output<typename Y::Scalar> dx) {
  mean_pooling_backward<typename Y::Scalar>(dy.derived(), sequences, dx);
}

}  // namespace lora
