#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "lora/core/parameter.hpp"
#include "lora/core/printable.hpp"
#include "lora/core/scratch.hpp"

namespace lora {

/// The parameters of one layer or of many, in an order: what `parameters()` returns and what
/// optimizers, clipping and checkpoints take. Owns the list, not the parameters, which must outlive
/// it: a layer's live as long as the layer stays where it is, an adapter's until it is replaced or
/// deleted. Whoever reads the list after that gets a StateError. A list of up to four allocates
/// nothing.
template <class T>
class ParameterList {
 public:
  using value_type = Parameter<T>*;
  using const_iterator = Parameter<T>* const*;

  ParameterList() = default;
  ParameterList(std::initializer_list<Parameter<T>*> parameters) { append(parameters); }

  /// Copies any other list of pointers to parameters: a vector, an array, a span.
  template <class Range>
  requires(!std::same_as<Range, ParameterList> && requires(const Range& range) {
    { *std::begin(range) } -> std::convertible_to<Parameter<T>*>;
  }) ParameterList(const Range& parameters) {
    append(parameters);
  }

  /// Appends a parameter.
  void add(Parameter<T>& parameter) {
    if (size_ < few_.size()) {
      few_alive_[size_] = parameter.place();
      few_[size_++] = &parameter;
      return;
    }
    if (many_.empty()) many_.assign(few_.begin(), few_.end());
    many_.push_back(&parameter);
    many_alive_.push_back(parameter.place());
    ++size_;
  }

  /// Appends the parameters of `others`.
  void add(const ParameterList& others) { append(others); }

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] Parameter<T>* operator[](std::size_t i) const { return begin()[i]; }

  /// Begins the list. Throws StateError if one of its parameters is gone.
  [[nodiscard]] const_iterator begin() const {
    const auto gone = [](const std::weak_ptr<const void>& each) { return each.expired(); };
    const auto few = static_cast<std::ptrdiff_t>(std::min(size_, few_.size()));
    if (std::any_of(few_alive_.begin(), few_alive_.begin() + few, gone) ||
        std::any_of(many_alive_.begin(), many_alive_.end(), gone))
      throw StateError(
          "ParameterList: since it was made, a parameter's adapter was replaced or its layer moved "
          "or destroyed: call parameters() again");
    return first();
  }
  [[nodiscard]] const_iterator end() const { return first() + size_; }

 private:
  // One by one: GCC 12 at -O3 takes vector::insert of a range for an overflow, and says so.
  template <class Range>
  void append(const Range& parameters) {
    for (Parameter<T>* parameter : parameters) add(*parameter);
  }

  [[nodiscard]] const_iterator first() const { return many_.empty() ? few_.data() : many_.data(); }

  std::array<Parameter<T>*, 4> few_{};
  std::vector<Parameter<T>*> many_;  // all of them, once there are more than a few
  std::array<std::weak_ptr<const void>, 4> few_alive_;
  std::vector<std::weak_ptr<const void>> many_alive_;  // of those after the few
  std::size_t size_ = 0;
};

/// Is satisfied by anything whose `parameters()` lists its trainable parameters.
template <class Layer, class T>
concept HasParameters = requires(Layer& layer) {
  { layer.parameters() } -> std::convertible_to<ParameterList<T>>;
};

/// Returns the parameters of several layers as one list, in the order of the arguments.
template <class T, HasParameters<T>... Layers>
[[nodiscard]] ParameterList<T> parameters_of(Layers&... layers) {
  ParameterList<T> all;
  (all.add(layers.parameters()), ...);
  return all;
}

/// Is satisfied by any list of pointers to parameters: a ParameterList, a vector, a span.
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

/// Throws ConfigError, naming `where`, if a parameter is in the list twice, or if two share a name,
/// which set_name of their layers mends. Allocates nothing in a second call.
template <ParameterRange List>
void require_distinct(const List& parameters, std::string_view where) {
  using Pointer = std::decay_t<decltype(*parameters.begin())>;
  const auto count = static_cast<Index>(std::distance(parameters.begin(), parameters.end()));
  if (count < 2) return;
  Scratch scratch;
  const std::span<Pointer> sorted(scratch.take<Pointer>(count), static_cast<std::size_t>(count));
  std::copy(parameters.begin(), parameters.end(), sorted.begin());
  std::sort(sorted.begin(), sorted.end(), [](Pointer a, Pointer b) { return a->name < b->name; });
  const auto same = std::adjacent_find(sorted.begin(), sorted.end(),
                                       [](Pointer a, Pointer b) { return a->name == b->name; });
  if (same == sorted.end()) return;
  if (same[0] == same[1])
    throw ConfigError(
        message(where, ": the parameter ", in_quotes(same[0]->name), " is listed twice"));
  throw ConfigError(message(where, ": two parameters are called ", in_quotes(same[0]->name),
                            ": give their layers names of their own with set_name"));
}

}  // namespace lora
