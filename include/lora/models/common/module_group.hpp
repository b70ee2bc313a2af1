#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/scratch.hpp"
#include "lora/layers/lora_linear_group.hpp"
#include "lora/models/common/module_linear.hpp"

namespace lora::models {

/// The name and size of a module of a ModuleGroup.
struct ModulePart {
  std::string name;  ///< whole: "model.layers.0.mlp.gate_proj"
  LinearSizes sizes;
};

/// Linear modules of one input, such as gate and up: where none of them trains as a whole they
/// share one pass over x, otherwise each is computed by itself.
template <class T, class Frozen>
class ModuleGroup {
 public:
  /// Loads the modules. Throws FileError and ConfigError.
  ModuleGroup(ModelBuilder<T>& builder, const std::vector<ModulePart>& parts) {
    bool whole = false;
    for (const ModulePart& part : parts)
      whole = whole || builder.plan[part.name].role == ModuleRole::trained;
    std::vector<LoRALinear<T, Frozen>> together;
    for (const ModulePart& part : parts) {
      if (whole)
        separate_.emplace_back(builder, part.name, part.sizes);
      else
        together.push_back(make_lora_linear<T, Frozen>(builder, part.name, part.sizes));
    }
    if (!together.empty()) group_.emplace(std::move(together));
  }

  /// Computes y[p] (N, out_p) for x (N, in). With a tape with dropout, and it keeps what backward
  /// needs; x may then be given to backward as a copy. With routes each row with its adapter.
  void forward(ConstMatrixRef<T> x, Tape<T>* tape, std::span<const MatrixRef<T>> y,
               const AdapterRoutes* routes = nullptr) const {
    if (group_) {
      if (routes != nullptr)
        tape == nullptr ? group_->forward(x, *routes, y) : group_->forward(x, *routes, *tape, y);
      else
        tape == nullptr ? group_->forward(x, y) : group_->forward(x, *tape, y);
      if (tape != nullptr) tape->newest().allow_copies();
    }
    for (std::size_t p = 0; p < separate_.size(); ++p) {
      separate_[p].forward(x, tape, y[p], routes);
      if (tape != nullptr) tape->newest().allow_copies();
    }
  }

  /// Adds to the gradients of what trains and computes dx (N, in), or not where that is null.
  void backward(ConstMatrixRef<T> x, std::span<const MatrixRef<T>> dy, Tape<T>& tape,
                GradientTarget<T> target, const MatrixRef<T>* dx) const {
    if (group_) {
      dx == nullptr ? group_->backward(x, dy, tape, target)
                    : group_->backward(x, dy, tape, target, *dx);
      return;
    }
    Scratch scratch;
    const MatrixRef<T> part = scratch.matrix<T>(dx == nullptr ? 0 : x.rows(), x.cols());
    for (std::size_t p = separate_.size(); p-- > 0;) {
      if (dx == nullptr) {
        separate_[p].backward(x, dy[p], tape, target);
      } else if (p + 1 == separate_.size()) {
        separate_[p].backward(x, dy[p], tape, target, *dx);
      } else {
        separate_[p].backward(x, dy[p], tape, target, part);
        MatrixRef<T> sum = *dx;
        sum += part;
      }
    }
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
  template <class Action>
  void for_each_of_group(const Action& action) {
    for (std::size_t p = 0; group_ && p < group_->size(); ++p) action(group_->part(p));
  }

  std::vector<ModuleLinear<T, Frozen>> separate_;    // all of them, or
  std::optional<LoRALinearGroup<T, Frozen>> group_;  // all of them
};

}  // namespace lora::models
