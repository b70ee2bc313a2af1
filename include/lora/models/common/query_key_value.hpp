#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lora/layers/lora_linear_group.hpp"
#include "lora/models/common/module_linear.hpp"

namespace lora::models {

/// The names and sizes of the three modules of a QueryKeyValue, each (out, in).
struct QueryKeyValueSizes {
  std::array<std::string, 3> names;     ///< whole: "encoder.layer.0.attention.self.query", ...
  Index in_features = 0;                ///< D
  std::array<Index, 3> out_features{};  ///< of query, key, value
  bool bias = true;                     ///< whether they have one
  bool queries_apart = false;           ///< query takes an input of its own
};

/// The three linear modules that an attention begins with. Where none of them trains as a whole
/// they share one pass over x; otherwise each is computed by itself. Queries may be of other rows
/// than keys and values where that was asked for at the start.
template <class T, class Frozen>
class QueryKeyValue {
 public:
  /// Loads the modules. Throws FileError and ConfigError.
  QueryKeyValue(ModelBuilder<T>& builder, const QueryKeyValueSizes& sizes) {
    bool whole = false;
    for (const std::string& name : sizes.names)
      whole = whole || builder.plan[name].role == ModuleRole::trained;
    const std::size_t alone = whole ? parts : sizes.queries_apart ? 1 : 0;
    std::vector<LoRALinear<T, Frozen>> together;
    for (std::size_t p = 0; p < parts; ++p) {
      const LinearSizes part{sizes.out_features[p], sizes.in_features, sizes.bias};
      if (p < alone)
        separate_.emplace_back(builder, sizes.names[p], part);
      else
        together.push_back(make_lora_linear<T, Frozen>(builder, sizes.names[p], part));
    }
    if (!together.empty()) group_.emplace(std::move(together));
  }

  /// Computes q (Q, out) for xq (Q, D), and k and v (N, out) for x (N, D); xq is x but where
  /// queries are apart. With a tape with dropout, and it keeps what backward needs; there xq may be
  /// given as a copy. With routes each row of xq and of x with its adapter.
  void forward(ConstMatrixRef<T> xq, ConstMatrixRef<T> x, Tape<T>* tape, MatrixRef<T> q,
               MatrixRef<T> k, MatrixRef<T> v, const AdapterRoutes* q_routes = nullptr,
               const AdapterRoutes* routes = nullptr) const {
    const std::array<MatrixRef<T>, parts> y{q, k, v};
    for (std::size_t p = 0; p < separate_.size(); ++p) {
      separate_[p].forward(p == 0 ? xq : x, tape, y[p], p == 0 ? q_routes : routes);
      if (tape != nullptr && xq.data() != x.data() && p == 0) tape->newest().allow_copies();
    }
    if (!group_) return;
    const auto rest = std::span(y).subspan(separate_.size());
    if (routes != nullptr)
      return tape == nullptr ? group_->forward(x, *routes, rest)
                             : group_->forward(x, *routes, *tape, rest);
    tape == nullptr ? group_->forward(x, rest) : group_->forward(x, *tape, rest);
  }

  /// Adds to the gradients of what trains and computes dx (N, D): of x as a whole, or with
  /// `apart`, where xq is not x, without what dxq (Q, D) gets. dk and dv are working memory
  /// afterwards.
  void backward(bool apart, ConstMatrixRef<T> xq, ConstMatrixRef<T> x, MatrixRef<T> dq,
                MatrixRef<T> dk, MatrixRef<T> dv, Tape<T>& tape, GradientTarget<T> target,
                MatrixRef<T> dxq, MatrixRef<T> dx) const {
    const std::array<MatrixRef<T>, parts> dy{dq, dk, dv};
    if (group_) group_->backward(x, std::span(dy).subspan(separate_.size()), tape, target, dx);
    bool begun = group_.has_value();
    Scratch scratch;
    const MatrixRef<T> part = scratch.matrix<T>(begun ? 0 : x.rows(), x.cols());
    for (std::size_t p = separate_.size(); p-- > 0;) {
      if (p == 0 && apart) return separate_[0].backward(xq, dy[0], tape, target, dxq);
      separate_[p].backward(x, dy[p], tape, target, begun ? part : dx);
      if (begun) dx += part;
      begun = true;
    }
  }

  /// Does the same without dx.
  void backward(ConstMatrixRef<T> xq, ConstMatrixRef<T> x, MatrixRef<T> dq, MatrixRef<T> dk,
                MatrixRef<T> dv, Tape<T>& tape, GradientTarget<T> target) const {
    const std::array<MatrixRef<T>, parts> dy{dq, dk, dv};
    if (group_) group_->backward(x, std::span(dy).subspan(separate_.size()), tape, target);
    for (std::size_t p = separate_.size(); p-- > 0;)
      separate_[p].backward(p == 0 ? xq : x, dy[p], tape, target);
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    for (auto& module : separate_) module.list(list);
    for_each_of_group([&](auto& part) { list_lora_layer(part, list); });
  }

  /// Calls action(layer) with each LoRALinear that has an adapter.
  template <class Action>
  void for_each_adapted(const Action& action) {
    for (auto& module : separate_) module.for_each_adapted(action);
    for_each_of_group([&](auto& part) {
      if (part.has_adapter()) action(part);
    });
  }

 private:
  static constexpr std::size_t parts = 3;

  template <class Action>
  void for_each_of_group(const Action& action) {
    for (std::size_t p = 0; group_ && p < group_->size(); ++p) action(group_->part(p));
  }

  std::vector<ModuleLinear<T, Frozen>> separate_;    // the first parts
  std::optional<LoRALinearGroup<T, Frozen>> group_;  // the others
};

}  // namespace lora::models
