#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "lora/core/gradients.hpp"
#include "lora/core/output.hpp"
#include "lora/core/tape.hpp"
#include "lora/layers/adapter_routes.hpp"

namespace lora::models {

/// A language model's head in a mixed batch, as language_model_loss takes one: each row of the
/// hidden states goes through `Head`, a LoRALinear, with the adapter that `routes` name for it.
/// Views both, which must outlive it.
template <class T, class Head>
class RoutedHead {
 public:
  RoutedHead(const Head& head, const AdapterRoutes& routes) : head_(&head), routes_(&routes) {}

  [[nodiscard]] Index in_features() const { return head_->in_features(); }
  [[nodiscard]] Index out_features() const { return head_->out_features(); }

  /// Computes the logits y of x, the rows `rows` of the hidden states, in ascending order. Throws
  /// what Head's does.
  void forward(std::span<const Index> rows, ConstMatrixRef<T> x, Tape<T>& tape, Output<T> y) const {
    std::vector<int> chosen(static_cast<std::size_t>(routes_->rows()), 0);
    for (const Index row : rows) chosen[static_cast<std::size_t>(row)] = 1;
    head_->forward(x, routes_->expanded(chosen), tape, y);
  }

  /// Adds to the gradients of the adapters of these rows, and computes dx.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients, Output<T> dx) const {
    head_->backward(x, dy, tape, gradients, dx);
  }

 private:
  const Head* head_;
  const AdapterRoutes* routes_;
};

}  // namespace lora::models
