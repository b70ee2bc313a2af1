#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "lora/frozen/mapped_weight.hpp"
#include "lora/init/gaussian.hpp"
#include "lora/io/safetensors/safetensors_writer.hpp"
#include "lora/layers/lora_linear.hpp"
#include "lora/models/common/model_builder.hpp"
#include "lora/models/common/model_parameters.hpp"
#include "lora/nn/linear.hpp"

namespace lora::models {

/// Returns the largest rank of an adapter for a layer (out, in): beyond min(out, in) nothing is
/// gained, and what a file says must not make an adapter many times larger than its layer.
[[nodiscard]] inline Index rank_limit(Index out, Index in) {
  return std::max<Index>(1024, 4 * std::min(out, in));
}

/// Throws ConfigError for a rank above rank_limit of the layer called `name`.
inline void require_rank(Index rank, const std::string& name, Index out, Index in) {
  if (rank > rank_limit(out, in))
    throw ConfigError(message("the rank of \"", name, "\" is ", rank, ", expected at most ",
                              rank_limit(out, in), " for a layer of ", out, " x ", in));
}

/// The sizes of a linear module of a model.
struct LinearSizes {
  Index out = 0;
  Index in = 0;
  bool bias = true;           ///< whether it has one
  bool may_be_new = false;    ///< whether one that trains as a whole may be absent in the files,
  bool may_be_other = false;  ///< or there of another size, and then is drawn anew too
  bool is_new = false;        ///< whether it is drawn anew whatever the files have
  Layout layout = Layout::row_major;  ///< of the weight in the files
};

/// Makes the frozen or adapted layer called `name`. Throws FileError, and ConfigError for a rank
/// above rank_limit.
template <class T, class Frozen>
[[nodiscard]] LoRALinear<T, Frozen> make_lora_linear(ModelBuilder<T>& builder,
                                                     const std::string& name,
                                                     const LinearSizes& sizes) {
  ModulePlan plan = builder.plan[name];
  const Index out = sizes.out, in = sizes.in;
  auto weight = builder.weights.template frozen<Frozen>(name + ".weight", out, in, sizes.layout);
  Vector<T> bias = sizes.bias ? builder.weights.vector(name + ".bias", out) : Vector<T>();
  LoRALinear<T, Frozen> layer(std::move(weight), std::move(bias));
  layer.set_name(name);
  layer.set_train_bias(plan.train_bias && sizes.bias);
  // Drawn for a frozen module too, so that what is adapted changes no other module's start or
  // masks.
  const std::uint64_t seed = builder.next_seed();
  if (plan.role != ModuleRole::adapted) return layer;
  require_rank(plan.lora.rank, name, out, in);
  plan.lora.train_bias = plan.lora.train_bias && sizes.bias;
  layer.add_adapter(default_adapter, plan.lora, seed);
  return layer;
}

/// Adds what trains of a frozen or adapted layer.
template <class T, class Layer>
void list_lora_layer(Layer& layer, ModelParameters<T>& list) {
  list.total += layer.total_parameters();
  if (layer.has_adapter()) {
    list.trained.add(layer.parameters());
    list.slots.emplace_back(layer);
  } else if (layer.trains_bias()) {
    list.add(layer.bias());
  }
}

/// Makes the layer called `name` that trains as a whole, from the files or, where they do not have
/// it so and it may be new, with normal weights of initializer_range and a bias of zeros. Throws
/// FileError.
template <class T>
[[nodiscard]] Linear<T> make_trained_linear(ModelBuilder<T>& builder, const std::string& name,
                                            const LinearSizes& sizes) {
  const std::uint64_t seed = builder.next_seed();
  const bool is_new =
      sizes.is_new || (sizes.may_be_new && !builder.weights.contains(name + ".weight")) ||
      (sizes.may_be_other && !builder.weights.has_shape(name + ".weight", {sizes.out, sizes.in}));
  Matrix<T> weight;
  Vector<T> bias;
  if (is_new) {
    weight.resize(sizes.out, sizes.in);
    gaussian<T>(weight, Random(seed, RandomStream::initialisation), builder.initializer_range);
    if (sizes.bias) bias = Vector<T>::Zero(sizes.out);
  } else {
    weight = builder.weights.copy(name + ".weight", sizes.out, sizes.in, sizes.layout);
    if (sizes.bias) bias = builder.weights.vector(name + ".bias", sizes.out);
  }
  Linear<T> layer(std::move(weight), bias);
  layer.set_name(name);
  return layer;
}

/// A linear module of a model: frozen, with an adapter, or trained as a whole, as its plan says.
template <class T, class Frozen>
class ModuleLinear {
 public:
  using Lora = LoRALinear<T, Frozen>;

  /// Loads the module called `name`. Throws FileError and ConfigError.
  ModuleLinear(ModelBuilder<T>& builder, const std::string& name, const LinearSizes& sizes)
      : layer_(make(builder, name, sizes)) {}

  /// Computes y (N, out) for x (N, in); with a tape with dropout, and it keeps what backward needs.
  /// With routes each row has its adapter; a module that trains as a whole is shared by all rows.
  void forward(ConstMatrixRef<T> x, Tape<T>* tape, Output<T> y,
               const AdapterRoutes* routes = nullptr) const {
    std::visit(
        [&](const auto& layer) {
          if constexpr (std::is_same_v<std::decay_t<decltype(layer)>, Lora>)
            if (routes != nullptr)
              return tape == nullptr ? layer.forward(x, *routes, y)
                                     : layer.forward(x, *routes, *tape, y);
          tape == nullptr ? layer.forward(x, y) : layer.forward(x, *tape, y);
        },
        layer_);
  }

  /// Adds to the gradients of what trains and computes dx (N, in). Only where needs_input() are the
  /// elements of x looked at.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape, GradientTarget<T> target,
                Output<T> dx) const {
    std::visit([&](const auto& layer) { layer.backward(x, dy, tape, target, dx); }, layer_);
  }

  /// Does the same without dx.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> target) const {
    std::visit([&](const auto& layer) { layer.backward(x, dy, tape, target); }, layer_);
  }

  /// Tells whether backward looks at x: not where at most the bias trains. Adapters that are not
  /// active count too, because mixed batches may be routed to them.
  [[nodiscard]] bool needs_input() const {
    const auto* lora = std::get_if<Lora>(&layer_);
    return lora == nullptr || !lora->adapters()->empty();
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    if (auto* lora = std::get_if<Lora>(&layer_)) return list_lora_layer(*lora, list);
    auto& trained = std::get<Linear<T>>(layer_);
    list.total += trained.total_parameters();
    for (Parameter<T>* parameter : trained.parameters()) list.add(*parameter);
  }

  /// Adds weight and bias as they are now, with the adapter in use merged; `out` x `in` whatever
  /// the layout was in the files.
  void add_tensors(std::vector<io::Tensor>& tensors) const {
    const auto add = [&](const std::string& name, const Matrix<T>& weight, const Matrix<T>& bias) {
      tensors.push_back(io::make_tensor(name + ".weight", weight));
      if (bias.size() != 0) tensors.push_back(io::make_tensor(name + ".bias", bias, {bias.size()}));
    };
    if (const auto* lora = std::get_if<Lora>(&layer_))
      return add(lora->name(), lora->weight_in_use(), lora->bias_in_use());
    const auto& trained = std::get<Linear<T>>(layer_);
    add(trained.name(), trained.weight().value, trained.bias().value);
  }

  /// Calls action(layer) with the LoRALinear, if there is one with an adapter.
  template <class Action>
  void for_each_adapted(const Action& action) {
    if (auto* lora = std::get_if<Lora>(&layer_); lora != nullptr && lora->has_adapter())
      action(*lora);
  }

 private:
  using Layer = std::variant<Lora, Linear<T>>;

  static Layer make(ModelBuilder<T>& builder, const std::string& name, const LinearSizes& sizes) {
    if (builder.plan[name].role == ModuleRole::trained)
      return make_trained_linear(builder, name, sizes);
    if (sizes.is_new)
      throw ConfigError(
          message("a new \"", name, "\" is wanted, and it does not train as a whole"));
    return make_lora_linear<T, Frozen>(builder, name, sizes);
  }

  Layer layer_;
};

}  // namespace lora::models
