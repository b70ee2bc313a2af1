#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

#include "lora/core/parameter.hpp"

namespace lora {

/// Lists the parameters of one layer without allocating; a contiguous range, which converts to the
/// span that optimizers take.
template <class T, std::size_t Capacity>
class LayerParameters {
 public:
  /// Appends a parameter; there is room for `Capacity`.
  void add(Parameter<T>& parameter) { items_.at(size_++) = &parameter; }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] Parameter<T>* operator[](std::size_t i) const { return items_.at(i); }
  [[nodiscard]] auto begin() const { return items_.begin(); }
  [[nodiscard]] auto end() const { return items_.begin() + static_cast<std::ptrdiff_t>(size_); }

 private:
  std::array<Parameter<T>*, Capacity> items_{};
  std::size_t size_ = 0;
};

/// What optimizers, clipping and checkpoints take: the parameters of one layer or of many.
template <class T>
using ParameterSpan = std::span<Parameter<T>* const>;

/// Is satisfied by anything whose `parameters()` lists its trainable parameters.
template <class Layer, class T>
concept HasParameters = requires(Layer& layer) {
  { layer.parameters() } -> std::convertible_to<ParameterSpan<T>>;
};

/// Returns the parameters of several layers as one list, in the order of the arguments.
template <class T, HasParameters<T>... Layers>
[[nodiscard]] std::vector<Parameter<T>*> parameters_of(Layers&... layers) {
  std::vector<Parameter<T>*> all;
  // One by one: GCC 12 at -O3 takes vector::insert of a range for an overflow, and says so.
  const auto append = [&all](ParameterSpan<T> some) {
    for (Parameter<T>* parameter : some) all.push_back(parameter);
  };
  (append(layers.parameters()), ...);
  return all;
}

/// Is satisfied by any list of pointers to parameters: a layer's `parameters()`, a vector, a span.
template <class List>
concept ParameterRange = requires(const List& list) {
  requires std::is_pointer_v<std::decay_t<decltype(*list.begin())>>;
  (*list.begin())->grad.setZero();
  list.end();
};

/// Sets the gradient of every parameter to zero.
template <ParameterRange List>
void zero_grad(const List& parameters) {
  for (auto* parameter : parameters) parameter->zero_grad();
}

/// Returns the number of scalars of all parameters.
template <ParameterRange List>
[[nodiscard]] Index count_parameters(const List& parameters) {
  Index sum = 0;
  for (const auto* parameter : parameters) sum += parameter->size();
  return sum;
}

}  // namespace lora
