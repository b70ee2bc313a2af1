#pragma once

#include "lora/core/output.hpp"
#include "lora/core/tape.hpp"
#include "lora/layers/trainable_tokens.hpp"

namespace lora::models {

/// A language model's head with rows that train in the place of its weight's own, y = x W'^T: see
/// TrainableTokens. `Head` is a LoRALinear without a bias. Views both, which must outlive it; calls
/// as Head's own, and throws what that throws.
template <class T, class Head>
class TrainableTokensHead {
 public:
  /// Lays the rows of `tokens` over `head`.
  TrainableTokensHead(const Head& head, const TrainableTokens<T>& tokens)
      : head_(&head), tokens_(&tokens) {}

  [[nodiscard]] Index in_features() const { return head_->in_features(); }
  [[nodiscard]] Index out_features() const { return head_->out_features(); }

  /// Computes the logits y (N, V) of x (N, D).
  void forward(ConstMatrixRef<T> x, Output<T> y) const {
    const MatrixRef<T> out = shaped(x, y);
    head_->forward(x, out);
    tokens_->project(x, out);
  }

  /// Does the same, and keeps on the tape what backward needs.
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, Output<T> y) const {
    const MatrixRef<T> out = shaped(x, y);
    head_->forward(x, tape, out);
    tokens_->project(x, out);
  }

  /// Adds to the gradients of the rows, and computes dx (N, D).
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients, Output<T> dx) const {
    const MatrixRef<T> out =
        dx.shaped(x.rows(), in_features(), "TrainableTokensHead::backward", "dx", {x, dy});
    head_->backward(x, dy, tape, gradients, out);
    tokens_->project_backward(x, dy, gradients, out);
  }

 private:
  [[nodiscard]] MatrixRef<T> shaped(ConstMatrixRef<T> x, Output<T> y) const {
    return y.shaped(x.rows(), out_features(), "TrainableTokensHead::forward", "y", {x});
  }

  const Head* head_;
  const TrainableTokens<T>* tokens_;
};

}  // namespace lora::models
