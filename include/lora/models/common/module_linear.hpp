#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <variant>

#include "lora/init/gaussian.hpp"
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

/// Makes the frozen or adapted layer (out, in) called `name`: one that is frozen has a low-rank
/// path that is switched off. Throws FileError, and ConfigError for a rank above rank_limit.
template <class T, class Frozen>
[[nodiscard]] LoRALinear<T, Frozen> make_lora_linear(ModelBuilder<T>& builder,
                                                     const std::string& name, Index out, Index in) {
  ModulePlan plan = builder.plan[name];
  const bool adapted = plan.role == ModuleRole::adapted;
  if (!adapted) plan.lora.train_bias = plan.train_bias;
  if (plan.lora.rank > rank_limit(out, in))
    throw ConfigError(message("the rank of \"", name, "\" is ", plan.lora.rank,
                              ", expected at most ", rank_limit(out, in), " for a layer of ", out,
                              " x ", in));
  auto weight = builder.weights.template frozen<Frozen>(name + ".weight", out, in);
  LoRALinear<T, Frozen> layer(std::move(weight), plan.lora, builder.next_seed(),
                              builder.weights.vector(name + ".bias", out));
  layer.set_name(name);
  if (adapted) return layer;
  layer.disable_adapter();
  layer.bias().name = name + ".bias";
  return layer;
}

/// Adds what trains of a layer that make_lora_linear made.
template <class T, class Frozen>
void list_lora_linear(LoRALinear<T, Frozen>& layer, bool adapted, ModelParameters<T>& list) {
  list.total += layer.in_features() * layer.out_features() + layer.bias().size();
  if (!adapted) {
    if (layer.config().train_bias) list.add(layer.bias());
    return;
  }
  list.total += layer.rank() * (layer.in_features() + layer.out_features());
  list.trained.add(layer.parameters());
  list.slots.emplace_back(layer);
}

/// Makes the layer (out, in) called `name` that trains as a whole, from the files or, where they do
/// not have it, with normal weights of initializer_range and no bias: a new head. Throws FileError.
template <class T>
[[nodiscard]] Linear<T> make_trained_linear(ModelBuilder<T>& builder, const std::string& name,
                                            Index out, Index in, bool may_be_new = false) {
  const std::uint64_t seed = builder.next_seed();
  const bool is_new = may_be_new && !builder.weights.contains(name + ".weight");
  // The file's first: it has to be of the shape that memory is taken for.
  Matrix<T> weight;
  if (!is_new) weight = builder.weights.copy(name + ".weight", out, in);
  Linear<T> layer(out, in, seed);
  if (is_new) {
    gaussian<T>(layer.weight().value, Random(seed, RandomStream::initialisation),
                builder.initializer_range);
    layer.bias().value.setZero();
  } else {
    layer.weight().value = std::move(weight);
    layer.bias().value = builder.weights.vector(name + ".bias", out).transpose();
  }
  layer.set_name(name);
  return layer;
}

/// A linear module of a model: frozen, with an adapter, or trained as a whole, as its plan says.
template <class T, class Frozen>
class ModuleLinear {
 public:
  using Lora = LoRALinear<T, Frozen>;

  /// Loads the module called `name`; with `may_be_new` one that trains may be absent in the files.
  /// Throws FileError and ConfigError.
  ModuleLinear(ModelBuilder<T>& builder, const std::string& name, Index out, Index in,
               bool may_be_new = false)
      : role_(builder.plan[name].role), layer_(make(builder, name, out, in, may_be_new)) {}

  /// Computes y (N, out) for x (N, in); with a tape with dropout, and it keeps what backward needs.
  void forward(ConstMatrixRef<T> x, Tape<T>* tape, Matrix<T>& y) const {
    std::visit(
        [&](const auto& layer) {
          tape == nullptr ? layer.forward(x, y) : layer.forward(x, *tape, y);
        },
        layer_);
  }

  /// Adds to the gradients of what trains and computes dx. Only where needs_input() are the
  /// elements of x looked at.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape, Matrix<T>& dx) {
    std::visit([&](auto& layer) { layer.backward(x, dy, tape, dx); }, layer_);
  }

  /// Does the same without dx.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape) {
    std::visit([&](auto& layer) { layer.backward(x, dy, tape); }, layer_);
  }

  /// Tells whether backward looks at x: not where at most the bias trains.
  [[nodiscard]] bool needs_input() const { return role_ != ModuleRole::frozen; }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    if (auto* lora = std::get_if<Lora>(&layer_))
      return list_lora_linear(*lora, role_ == ModuleRole::adapted, list);
    auto& trained = std::get<Linear<T>>(layer_);
    list.total += trained.total_parameters();
    for (Parameter<T>* parameter : trained.parameters()) list.add(*parameter);
  }

  /// Switches an adapter on or off, if there is one.
  void set_adapter_enabled(bool enabled) {
    if (role_ != ModuleRole::adapted) return;
    auto& lora = std::get<Lora>(layer_);
    enabled ? lora.enable_adapter() : lora.disable_adapter();
  }

 private:
  using Layer = std::variant<Lora, Linear<T>>;

  static Layer make(ModelBuilder<T>& builder, const std::string& name, Index out, Index in,
                    bool may_be_new) {
    if (builder.plan[name].role == ModuleRole::trained)
      return make_trained_linear(builder, name, out, in, may_be_new);
    return make_lora_linear<T, Frozen>(builder, name, out, in);
  }

  ModuleRole role_;
  Layer layer_;
};

}  // namespace lora::models
