#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "lora/core/gradients.hpp"
#include "lora/core/output.hpp"
#include "lora/core/tape.hpp"
#include "lora/layers/adapter_routes.hpp"
#include "lora/layers/trainable_tokens.hpp"
#include "lora/models/common/own_rows.hpp"

namespace lora::models {

/// A language model's head with rows that train in the place of its weight's own, y = x W'^T: see
/// TrainableTokens. `Head` is a LoRALinear without a bias. In a mixed batch each row of x has the
/// adapter that bound routes name for it, and those of OwnRows have the rows that train. Views all,
/// which must outlive it; calls as Head's own, and throws what that throws.
template <class T, class Head>
class TrainableTokensHead {
 public:
  /// Lays the rows of `tokens` over `head`. Routes that are null or not bound say nothing.
  TrainableTokensHead(const Head& head, const TrainableTokens<T>& tokens,
                      const AdapterRoutes* routes = nullptr)
      : head_(&head),
        tokens_(&tokens),
        routes_(routes != nullptr && routes->snapshot() != nullptr ? routes : nullptr) {}

  [[nodiscard]] Index in_features() const { return head_->in_features(); }
  [[nodiscard]] Index out_features() const { return head_->out_features(); }

  /// Computes the logits y (N, V) of x (N, D), of all rows of the routes.
  void forward(ConstMatrixRef<T> x, Output<T> y) const {
    const MatrixRef<T> out = shaped(x, y);
    routes_ == nullptr ? head_->forward(x, out) : head_->forward(x, *routes_, out);
    tokens_->project(x, out, OwnRows(routes_).chosen());
  }

  /// Computes those of x, the rows `rows` of all, in ascending order, and keeps on the tape what
  /// backward needs.
  void forward(std::span<const Index> rows, ConstMatrixRef<T> x, Tape<T>& tape, Output<T> y) const {
    const MatrixRef<T> out = shaped(x, y);
    auto& frame = tape.push(this, tokens_->name(), x.rows());
    if (routes_ == nullptr) {
      head_->forward(x, tape, out);
      return tokens_->project(x, out);
    }
    std::vector<int> some(static_cast<std::size_t>(routes_->rows()), 0);
    for (const Index row : rows) some[static_cast<std::size_t>(row)] = 1;
    const AdapterRoutes routes = routes_->expanded(some);
    auto own = std::make_shared<const OwnRows>(&routes);
    head_->forward(x, routes, tape, out);
    tokens_->project(x, out, own->chosen());
    frame.hold(std::move(own));
  }

  /// Adds to the gradients of the rows and of the adapters, and computes dx (N, D).
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients, Output<T> dx) const {
    constexpr const char* where = "TrainableTokensHead::backward";
    const MatrixRef<T> out = dx.shaped(x.rows(), in_features(), where, "dx", {x, dy});
    head_->backward(x, dy, tape, gradients, out);
    auto& frame = tape.top(this, x.rows(), where);
    tokens_->project_backward(x, dy, gradients, out,
                              routes_ == nullptr
                                  ? std::span<const char>()
                                  : static_cast<const OwnRows*>(frame.held().get())->chosen());
    tape.pop();
  }

 private:
  [[nodiscard]] MatrixRef<T> shaped(ConstMatrixRef<T> x, Output<T> y) const {
    return y.shaped(x.rows(), out_features(), "TrainableTokensHead::forward", "y", {x});
  }

  const Head* head_;
  const TrainableTokens<T>* tokens_;
  const AdapterRoutes* routes_;
};

}  // namespace lora::models
