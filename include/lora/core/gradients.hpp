#pragma once

#include <cstddef>
#include <memory>
#include <unordered_map>
#include <vector>

#include "lora/core/parameter_list.hpp"

namespace lora {

/// Gradients outside of the layers: one matrix, of zeros at first, for each parameter of a list.
///
/// Threads that train one shared layer have one each, and pass it to the const backward. Their sums
/// are then added to the parameters' own gradients one after another, in an order of the caller's
/// choice that makes the result the same bits at each run:
///
///     Gradients<float> mine(layer.parameters());             // in each thread
///     layer.backward(x, dy, tape, mine, dx);                 // const
///     for (auto& each : all) each.add_to(layer.parameters());  // in one thread, after the others
///
/// Different objects may be used by different threads at once. The parameters must stay while it
/// is used.
template <class T>
class Gradients {
 public:
  /// Makes a gradient of zeros for every parameter. Throws ConfigError for one that is listed
  /// twice.
  explicit Gradients(const ParameterList<T>& parameters) {
    for (const Parameter<T>* parameter : parameters) {
      if (!place_.emplace(parameter->identity().key(), gradients_.size()).second)
        throw ConfigError(
            message("Gradients: the parameter \"", parameter->name, "\" is listed twice"));
      identities_.push_back(parameter->identity().remember());
      gradients_.emplace_back(Matrix<T>::Zero(parameter->value.rows(), parameter->value.cols()));
    }
  }

  /// Returns the gradient of `parameter`. Throws StateError if it was not in the list: the adapter
  /// was replaced since, or another layer's parameters are meant.
  [[nodiscard]] FixedMatrix<T>& of(const Parameter<T>& parameter) {
    return gradients_[place(parameter)];
  }
  [[nodiscard]] const FixedMatrix<T>& of(const Parameter<T>& parameter) const {
    return gradients_[place(parameter)];
  }

  /// Sets every gradient to zero.
  void zero() {
    for (FixedMatrix<T>& gradient : gradients_) gradient.setZero();
  }

  /// Adds these gradients to the parameters' own. Throws StateError for a parameter that was not in
  /// the list, and then nothing has changed.
  void add_to(const ParameterList<T>& parameters) const {
    for (const Parameter<T>* parameter : parameters) static_cast<void>(place(*parameter));
    for (Parameter<T>* parameter : parameters) parameter->grad += of(*parameter);
  }

 private:
  [[nodiscard]] std::size_t place(const Parameter<T>& parameter) const {
    const auto found = place_.find(parameter.identity().key());
    if (found == place_.end())
      throw StateError(message("Gradients: no gradient for the parameter \"", parameter.name,
                               "\": make them from the parameters that train now"));
    return found->second;
  }

  std::unordered_map<const void*, std::size_t> place_;
  std::vector<std::weak_ptr<const void>> identities_;  // so that no later one has the same key
  std::vector<FixedMatrix<T>> gradients_;
};

/// Where a backward adds gradients: in its layers' own parameters, or in Gradients outside of them.
/// A layer's one backward is const and asks `of(parameter)`; its non-const form passes `own()`.
template <class T>
class GradientTarget {
 public:
  /// Adds outside of the layers. `gradients` must outlive this.
  GradientTarget(Gradients<T>& gradients) : outside_(&gradients) {}

  /// Adds to the parameters' own gradients: only for members that are not const.
  [[nodiscard]] static GradientTarget own() { return GradientTarget(); }

  /// Returns where the gradient of `parameter` is summed. Throws what Gradients::of throws.
  [[nodiscard]] MatrixRef<T> of(const Parameter<T>& parameter) const {
    if (outside_ != nullptr) return outside_->of(parameter);
    // The layer that owns it is not const: own() was called by a member that says so.
    return const_cast<Parameter<T>&>(parameter).grad;
  }

 private:
  GradientTarget() = default;
  Gradients<T>* outside_ = nullptr;
};

}  // namespace lora
