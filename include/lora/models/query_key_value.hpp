#pragma once

#include <array>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lora/layers/lora_merged_linear.hpp"
#include "lora/models/model_linear.hpp"

namespace lora::models {

/// Is the three linear modules that an attention begins with. Where none of them trains as a whole
/// they share one pass over x; otherwise each is computed by itself.
template <class T, class Frozen>
class QueryKeyValue {
 public:
  /// Loads `name`.query, .key and .value. Throws FileError and ConfigError.
  QueryKeyValue(ModelBuilder<T>& builder, const std::string& name) {
    const Index d = builder.config.hidden_size;
    bool whole = false;
    for (std::size_t p = 0; p < parts.size(); ++p) {
      roles_[p] = builder.plan[name + parts[p]].role;
      whole = whole || roles_[p] == ModuleRole::trained;
    }
    std::vector<LoRALinear<T, Frozen>> merged;
    for (const char* part : parts)
      if (whole)
        separate_.emplace_back(builder, name + part, d, d);
      else
        merged.push_back(make_lora_linear<T, Frozen>(builder, name + part, d, d));
    if (!whole) merged_.emplace(std::move(merged));
  }

  /// Computes y[p] (N, D) for x (N, D).
  void forward(ConstMatrixRef<T> x, std::array<Matrix<T>, 3>& y) const {
    if (merged_) return merged_->forward(x, y);
    for (std::size_t p = 0; p < parts.size(); ++p) separate_[p].forward(x, y[p]);
  }

  /// Computes the same with dropout, and keeps what backward needs.
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, std::array<Matrix<T>, 3>& y) const {
    if (merged_) return merged_->forward(x, tape, y);
    for (std::size_t p = 0; p < parts.size(); ++p) separate_[p].forward(x, tape, y[p]);
  }

  /// Adds to the gradients of what trains and computes dx (N, D); `buffer` is working memory.
  void backward(ConstMatrixRef<T> x, const std::array<Matrix<T>, 3>& dy, Tape<T>& tape,
                Matrix<T>& dx, Matrix<T>& buffer) {
    if (merged_) return merged_->backward(x, dy, tape, dx);
    separate_[2].backward(x, dy[2], tape, dx);
    for (std::size_t p = 2; p-- > 0;) {
      separate_[p].backward(x, dy[p], tape, buffer);
      dx += buffer;
    }
  }

  /// Does the same without dx.
  void backward(ConstMatrixRef<T> x, const std::array<Matrix<T>, 3>& dy, Tape<T>& tape) {
    if (merged_) return merged_->backward(x, dy, tape);
    for (std::size_t p = parts.size(); p-- > 0;) separate_[p].backward(x, dy[p], tape);
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    for (std::size_t p = 0; p < parts.size(); ++p)
      if (merged_)
        list_lora_linear(merged_->part(p), roles_[p] == ModuleRole::adapted, list);
      else
        separate_[p].list(list);
  }

  void set_adapter_enabled(bool enabled) {
    for (std::size_t p = 0; p < parts.size(); ++p) {
      if (!merged_) {
        separate_[p].set_adapter_enabled(enabled);
      } else if (roles_[p] == ModuleRole::adapted) {
        auto& part = merged_->part(p);
        enabled ? part.enable_adapter() : part.disable_adapter();
      }
    }
  }

 private:
  static constexpr std::array<const char*, 3> parts{".query", ".key", ".value"};

  std::array<ModuleRole, 3> roles_{};
  std::optional<LoRAMergedLinear<T, Frozen>> merged_;
  std::vector<ModelLinear<T, Frozen>> separate_;
};

}  // namespace lora::models
