#pragma once

#include "lora/core/elementwise.hpp"
#include "lora/core/output.hpp"
#include "lora/nn/sequences.hpp"

namespace lora {

/// Computes y (sequences, D): row b is the first token of sequence b among the rows of x (N, D),
/// BERT's [CLS]; zeros for a sequence without tokens. y is no part of x. Throws ShapeError.
template <class T>
void first_token_pooling(ConstMatrixRef<T> x, const Sequences& sequences, Output<T> y) {
  constexpr const char* where = "first_token_pooling";
  require_shape(x, sequences.rows(), x.cols(), where, "x", "rows of the sequences");
  MatrixRef<T> out = y.shaped(sequences.size(), x.cols(), where, "y", {x});
  for (Index b = 0; b < sequences.size(); ++b) {
    const auto& sequence = sequences[b];
    if (sequence.tokens > 0)
      out.row(b) = x.row(sequence.begin + sequence.first);
    else
      out.row(b).setZero();
  }
}

/// Does the same for the scalar of x.
template <class X>
void first_token_pooling(const Eigen::MatrixBase<X>& x, const Sequences& sequences,
                         Output<typename X::Scalar> y) {
  first_token_pooling<typename X::Scalar>(x.derived(), sequences, y);
}

/// Computes the gradient dx (N, D) of first_token_pooling's input: dy (sequences, D) for the first
/// tokens, zeros for all other rows. dx is no part of dy. Throws ShapeError.
template <class T>
void first_token_pooling_backward(ConstMatrixRef<T> dy, const Sequences& sequences, Output<T> dx) {
  constexpr const char* where = "first_token_pooling_backward";
  require_shape(dy, sequences.size(), dy.cols(), where, "dy", "sequences");
  MatrixRef<T> out = dx.shaped(sequences.rows(), dy.cols(), where, "dx", {dy});
  for_each_row(out.rows(), out.cols(), 16, [&](Index row) { out.row(row).setZero(); });
  for (Index b = 0; b < sequences.size(); ++b) {
    const auto& sequence = sequences[b];
    if (sequence.tokens > 0) out.row(sequence.begin + sequence.first) = dy.row(b);
  }
}

/// Does the same for the scalar of dy.
template <class Y>
void first_token_pooling_backward(const Eigen::MatrixBase<Y>& dy, const Sequences& sequences,
                                  Output<typename Y::Scalar> dx) {
  first_token_pooling_backward<typename Y::Scalar>(dy.derived(), sequences, dx);
}

}  // namespace lora
