#pragma once

#include <cstdint>
#include <lora/lora.hpp>
#include <utility>

#include "network.hpp"

namespace digits {

/// Holds a trained network's weights, as a program holds a model that somebody else has trained.
/// Networks that adapt it borrow this memory, so it must outlive them.
template <class T>
struct Base {
  struct Layer {
    lora::Matrix<T> weight;  ///< (out, in)
    lora::Vector<T> bias;    ///< (out)
  };
  Layer fc1, fc2;
  lora::Linear<T> head;  ///< of the old task
};

template <class T>
using FullNetwork = Network<lora::Linear<T>>;
template <class T>
using HeadNetwork = Network<FrozenLinear<T>>;
template <class T, class Weight>
using LoRANetwork = Network<lora::LoRALinear<T, Weight>>;

/// Returns seeds for the layers of one network, which must not start from the same numbers.
[[nodiscard]] inline std::uint64_t layer_seed(std::uint64_t seed, std::uint64_t layer) {
  return lora::Random(seed).words(0, layer)[0];
}

/// Returns a network that is random throughout, to be trained throughout.
template <class T>
[[nodiscard]] FullNetwork<T> new_network(Index pixels, Index hidden, Index classes,
                                         std::uint64_t seed) {
  using lora::Linear;
  return {Linear<T>(hidden, pixels, layer_seed(seed, 1)),
          Linear<T>(hidden, hidden, layer_seed(seed, 2)),
          Linear<T>(classes, hidden, layer_seed(seed, 3))};
}

/// Returns the weights of a trained network.
template <class T>
[[nodiscard]] Base<T> freeze(const FullNetwork<T>& trained) {
  const auto layer = [](const lora::Linear<T>& linear) {
    return typename Base<T>::Layer{linear.weight().value, linear.bias().value.row(0).transpose()};
  };
  return {layer(trained.fc1), layer(trained.fc2), trained.head};
}

/// Returns a head that is random, for the new task.
template <class T>
[[nodiscard]] lora::Linear<T> new_head(const Base<T>& base, Index classes, std::uint64_t seed) {
  return {classes, base.fc2.weight.rows(), layer_seed(seed, 4)};
}

/// Borrows a layer's weight.
template <class T>
[[nodiscard]] lora::MappedWeight<T> mapped(const typename Base<T>::Layer& layer) {
  return {layer.weight.data(), layer.weight.rows(), layer.weight.cols()};
}

/// Full fine-tuning: a copy of the base with a new head, all of it trained.
template <class T>
[[nodiscard]] FullNetwork<T> full_network(const Base<T>& base, lora::Linear<T> head) {
  const auto copy = [](const typename Base<T>::Layer& layer) {
    lora::Linear<T> linear(layer.weight.rows(), layer.weight.cols(), 0);
    linear.weight().value = layer.weight;
    linear.bias().value = layer.bias.transpose();
    return linear;
  };
  return {copy(base.fc1), copy(base.fc2), std::move(head)};
}

/// A new head alone: the base's hidden layers as they are.
template <class T>
[[nodiscard]] HeadNetwork<T> head_network(const Base<T>& base, lora::Linear<T> head) {
  return {FrozenLinear<T>(mapped<T>(base.fc1), base.fc1.bias),
          FrozenLinear<T>(mapped<T>(base.fc2), base.fc2.bias), std::move(head)};
}

/// LoRA: the base's hidden layers, borrowed, with an adapter each, and a new head.
template <class T>
[[nodiscard]] LoRANetwork<T, lora::MappedWeight<T>> lora_network(const Base<T>& base,
                                                                 lora::Linear<T> head,
                                                                 const lora::LoRAConfig& config,
                                                                 std::uint64_t seed) {
  using Layer = lora::LoRALinear<T, lora::MappedWeight<T>>;
  return {Layer(mapped<T>(base.fc1), config, layer_seed(seed, 5), base.fc1.bias),
          Layer(mapped<T>(base.fc2), config, layer_seed(seed, 6), base.fc2.bias), std::move(head)};
}

/// The same on a copy of the base's weights, which merge() may write.
template <class T>
[[nodiscard]] LoRANetwork<T, lora::DenseWeight<T>> mergeable_lora_network(
    const Base<T>& base, lora::Linear<T> head, const lora::LoRAConfig& config, std::uint64_t seed) {
  using Layer = lora::LoRALinear<T>;
  return {Layer(lora::DenseWeight<T>(base.fc1.weight), config, layer_seed(seed, 5), base.fc1.bias),
          Layer(lora::DenseWeight<T>(base.fc2.weight), config, layer_seed(seed, 6), base.fc2.bias),
          std::move(head)};
}

}  // namespace digits
