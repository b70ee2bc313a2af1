#pragma once

#include "lora/core/elementwise.hpp"
#include "lora/nn/sequences.hpp"

namespace lora {

/// Computes y (sequences, D), which is resized: row b is the first token of sequence b among the
/// rows of x (N, D), BERT's [CLS]; zeros for a sequence without tokens. y is not x. Throws
/// ShapeError.
template <class T>
void first_token_pooling(std::type_identity_t<ConstMatrixRef<T>> x, const Sequences& sequences,
                         Matrix<T>& y) {
  require_shape(x, sequences.rows(), x.cols(), "first_token_pooling", "x");
  y.resize(sequences.size(), x.cols());
  for (Index b = 0; b < sequences.size(); ++b) {
    const auto& sequence = sequences[b];
    if (sequence.tokens > 0)
      y.row(b) = x.row(sequence.begin + sequence.first);
    else
      y.row(b).setZero();
  }
}

/// Computes the gradient dx (N, D) of first_token_pooling's input, which is resized: dy for the
/// first tokens, zeros for all other rows. dx is not dy. Throws ShapeError.
template <class T>
void first_token_pooling_backward(std::type_identity_t<ConstMatrixRef<T>> dy,
                                  const Sequences& sequences, Matrix<T>& dx) {
  require_shape(dy, sequences.size(), dy.cols(), "first_token_pooling_backward", "dy");
  dx.resize(sequences.rows(), dy.cols());
  for_each_row(dx.rows(), dx.cols(), 16, [&](Index row) { dx.row(row).setZero(); });
  for (Index b = 0; b < sequences.size(); ++b) {
    const auto& sequence = sequences[b];
    if (sequence.tokens > 0) dx.row(sequence.begin + sequence.first) = dy.row(b);
  }
}

}  // namespace lora
