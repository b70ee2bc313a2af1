#pragma once

#include "lora/core/elementwise.hpp"
#include "lora/nn/sequences.hpp"

namespace lora {

/// Computes y (sequences, D), which is resized: row b is the mean of the tokens of sequence b among
/// the rows of x (N, D), zeros for a sequence without tokens. y is not x. Throws ShapeError.
/// As sentence-transformers' mean pooling.
template <class T>
void mean_pooling(std::type_identity_t<ConstMatrixRef<T>> x, const Sequences& sequences,
                  Matrix<T>& y) {
  require_shape(x, sequences.rows(), x.cols(), "mean_pooling", "x");
  y.resize(sequences.size(), x.cols());
  const double rows_each =
      static_cast<double>(x.rows()) / static_cast<double>(std::max<Index>(1, sequences.size()));
  for_each_row(y.rows(), y.cols(), 16 * rows_each, [&](Index b) {
    const auto& sequence = sequences[b];
    y.row(b).setZero();
    if (sequence.tokens == 0) return;
    for (Index i = sequence.first; i < sequence.last; ++i)
      if (sequences.is_token(sequence.begin + i)) y.row(b) += x.row(sequence.begin + i);
    y.row(b) /= static_cast<T>(sequence.tokens);
  });
}

/// Computes the gradient dx (N, D) of mean_pooling's input, which is resized: dy of the sequence
/// over its tokens for a token, zeros for padding. dx is not dy. Throws ShapeError.
template <class T>
void mean_pooling_backward(std::type_identity_t<ConstMatrixRef<T>> dy, const Sequences& sequences,
                           Matrix<T>& dx) {
  require_shape(dy, sequences.size(), dy.cols(), "mean_pooling_backward", "dy");
  dx.resize(sequences.rows(), dy.cols());
  const double rows_each =
      static_cast<double>(dx.rows()) / static_cast<double>(std::max<Index>(1, sequences.size()));
  for_each_row(dy.rows(), dy.cols(), 16 * rows_each, [&](Index b) {
    const auto& sequence = sequences[b];
    for (Index row = sequence.begin; row < sequence.begin + sequence.rows; ++row)
      if (sequences.is_token(row))
        dx.row(row) = dy.row(b) / static_cast<T>(sequence.tokens);
      else
        dx.row(row).setZero();
  });
}

}  // namespace lora
