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
    for (std::size_t p = 0; p < roles_.size(); ++p) {
      roles_[p] = builder.plan[sizes.names[p]].role;
      whole = whole || roles_[p] == ModuleRole::trained;
    }
    const std::size_t alone = whole ? roles_.size() : sizes.queries_apart ? 1 : 0;
    std::vector<LoRALinear<T, Frozen>> merged;
    for (std::size_t p = 0; p < roles_.size(); ++p)
      if (p < alone)
        separate_.emplace_back(builder, sizes.names[p], sizes.out_features[p], sizes.in_features);
      else
        merged.push_back(make_lora_linear<T, Frozen>(builder, sizes.names[p], sizes.out_features[p],
                                                     sizes.in_features));
    if (!merged.empty()) merged_.emplace(std::move(merged));
  }

  /// Computes y[0] (Q, out) for xq (Q, D), and y[1] and y[2] (N, out) for x (N, D); xq is x but
  /// where queries are apart. With a tape with dropout, and it keeps what backward needs.
  void forward(ConstMatrixRef<T> xq, ConstMatrixRef<T> x, Tape<T>* tape,
               std::array<Matrix<T>, 3>& y) const {
    for (std::size_t p = 0; p < separate_.size(); ++p)
      separate_[p].forward(p == 0 ? xq : x, tape, y[p]);
    if (merged_)
      tape == nullptr ? merged_->forward(x, rest(y)) : merged_->forward(x, *tape, rest(y));
  }

  /// Adds to the gradients of what trains and computes dx (N, D): of x as a whole, or with
  /// `apart`, where xq is not x, without what dxq (Q, D) gets. dy is working memory afterwards.
  void backward(bool apart, ConstMatrixRef<T> xq, ConstMatrixRef<T> x, std::array<Matrix<T>, 3>& dy,
                Tape<T>& tape, Matrix<T>& dxq, Matrix<T>& dx) {
    if (merged_) merged_->backward(x, rest(std::as_const(dy)), tape, dx);
    bool begun = merged_.has_value();
    for (std::size_t p = separate_.size(); p-- > 0;) {
      if (p == 0 && apart) return separate_[0].backward(xq, dy[0], tape, dxq);
      // What is done with serves as memory for the next.
      separate_[p].backward(x, dy[p], tape, begun ? dy[2] : dx);
      if (begun) dx += dy[2];
      begun = true;
    }
  }

  /// Does the same without dx.
  void backward(ConstMatrixRef<T> xq, ConstMatrixRef<T> x, const std::array<Matrix<T>, 3>& dy,
                Tape<T>& tape) {
    if (merged_) merged_->backward(x, rest(dy), tape);
    for (std::size_t p = separate_.size(); p-- > 0;)
      separate_[p].backward(p == 0 ? xq : x, dy[p], tape);
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    for (std::size_t p = 0; p < roles_.size(); ++p)
      if (p < separate_.size())
        separate_[p].list(list);
      else
        list_lora_linear(merged_->part(p - separate_.size()), roles_[p] == ModuleRole::adapted,
                         list);
  }

  void set_adapter_enabled(bool enabled) {
    for (std::size_t p = 0; p < roles_.size(); ++p) {
      if (p < separate_.size()) {
        separate_[p].set_adapter_enabled(enabled);
      } else if (roles_[p] == ModuleRole::adapted) {
        auto& part = merged_->part(p - separate_.size());
        enabled ? part.enable_adapter() : part.disable_adapter();
      }
    }
  }

 private:
  // The outputs of those that share a pass.
  [[nodiscard]] std::span<Matrix<T>> rest(std::array<Matrix<T>, 3>& y) const {
    return std::span<Matrix<T>>(y).subspan(separate_.size());
  }
  [[nodiscard]] std::span<const Matrix<T>> rest(const std::array<Matrix<T>, 3>& y) const {
    return std::span<const Matrix<T>>(y).subspan(separate_.size());
  }

  std::array<ModuleRole, 3> roles_{};
  std::vector<ModuleLinear<T, Frozen>> separate_;     // the first parts
  std::optional<LoRALinearGroup<T, Frozen>> merged_;  // the others
};

}  // namespace lora::models
