#pragma once

#include <concepts>
#include <cstddef>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/place.hpp"
#include "lora/core/printable.hpp"
#include "lora/init/split_start.hpp"
#include "lora/layers/adapter_tensor.hpp"
#include "lora/layers/lora_config.hpp"

namespace lora {

/// A layer that describes its adapter itself. `adapter_tensors(config)` lists the
/// tensors that an adapter of these settings has; `replace_adapter` takes one matrix for each.
template <class Layer>
concept DescribesAdapter = requires(const Layer& layer, const LoRAConfig& config) {
  { layer.name() } -> std::convertible_to<const std::string&>;
  { layer.config() } -> std::convertible_to<const LoRAConfig&>;
  {
    layer.adapter_tensors(config)
    } -> std::same_as<std::vector<AdapterTensor<typename Layer::Scalar>>>;
  layer.check_replace(config);
};

/// A layer over a weight (out, in) with factors A (rank, in) and B (out, rank).
template <class Layer>
concept HasLoRAFactors = requires(const Layer& layer, const LoRAConfig& config) {
  { layer.name() } -> std::convertible_to<const std::string&>;
  { layer.config() } -> std::convertible_to<const LoRAConfig&>;
  layer.lora_A();
  layer.lora_B();
  layer.has_bias();
  layer.bias();
  layer.check_replace(config);
};

/// A layer whose adapter can be saved and loaded.
template <class Layer, class T>
concept AdaptedLayer = std::same_as<typename std::remove_const_t<Layer>::Scalar, T> &&
    (DescribesAdapter<Layer> || HasLoRAFactors<Layer>);

namespace detail {

template <class Layer>
[[nodiscard]] auto adapter_tensors(const Layer& layer, const LoRAConfig& config) {
  if constexpr (DescribesAdapter<Layer>) {
    return layer.adapter_tensors(config);
  } else {
    const Index in = layer.lora_A().value.cols(), out = layer.lora_B().value.rows();
    std::vector<AdapterTensor<typename Layer::Scalar>> tensors{
        {".lora_A.weight", {config.rank, in}, &layer.lora_A()},
        {".lora_B.weight", {out, config.rank}, &layer.lora_B()}};
    if (config.lora_bias) {
      if constexpr (requires { layer.lora_B_bias(); })
        tensors.push_back({b_bias_suffix, {out}, &layer.lora_B_bias()});
      else
        throw ConfigError(in_quotes(layer.name()) +
                          ": lora_bias is set, but this layer's B has no bias");
    }
    if (config.use_dora) {
      if constexpr (requires { layer.lora_magnitude(); })
        tensors.push_back({magnitude_suffix, {out}, &layer.lora_magnitude()});
      else
        throw ConfigError(in_quotes(layer.name()) +
                          ": use_dora is set, but this layer has no DoRA");
    }
    if (config.train_bias && layer.has_bias())
      tensors.push_back({".base_layer.bias", {out}, &layer.bias()});
    return tensors;
  }
}

// Throws ConfigError for tensors that a layer without magnitudes is not given by replace_adapter.
template <class Layer>
void require_takes(const Layer& layer, const LoRAConfig& config) {
  if constexpr (!DescribesAdapter<Layer> && !requires { layer.lora_magnitude(); })
    if (config.lora_bias || config.use_dora)
      throw ConfigError(message(in_quotes(layer.name()), ": ",
                                config.lora_bias ? "lora_bias" : "use_dora",
                                " is set, and this layer's replace_adapter takes A and B alone"));
}

template <class Layer, class T>
void replace_adapter(Layer& layer, const LoRAConfig& config, std::vector<Matrix<T>> values) {
  if constexpr (DescribesAdapter<Layer>) {
    layer.replace_adapter(config, std::move(values));
  } else {
    require_takes(layer, config);
    std::size_t count = 2;
    if constexpr (requires { layer.lora_magnitude(); }) {
      std::optional<Matrix<T>> b_bias, magnitude;
      if (config.lora_bias) b_bias = std::move(values.at(count++));
      if (config.use_dora) magnitude = std::move(values.at(count++));
      layer.replace_adapter(config, std::move(values[0]), std::move(values[1]),
                            std::move(magnitude), std::move(b_bias));
    } else {
      layer.replace_adapter(config, std::move(values[0]), std::move(values[1]));
    }
    if (values.size() == count) return;
    layer.bias().value = values[count];
    layer.bias().zero_grad();
  }
}

}  // namespace detail

/// A view of an adapted layer of any kind, so that layers of different types can stand in one list
/// to be saved. The layer must outlive the view and stay where it is.
template <class T>
class AdaptedLayerView {
 public:
  /// Views `layer`.
  template <class Layer>
  requires AdaptedLayer<Layer, T> AdaptedLayerView(const Layer& layer)
      : layer_(&layer),
        name_([](const void* self) -> const std::string& {
          return static_cast<const Layer*>(self)->name();
        }),
        config_([](const void* self) -> const LoRAConfig& {
          return static_cast<const Layer*>(self)->config();
        }),
        tensors_([](const void* self, const LoRAConfig& config) {
          return detail::adapter_tensors(*static_cast<const Layer*>(self), config);
        }),
        check_replace_([](const void* self, const LoRAConfig& config) {
          const Layer& each = *static_cast<const Layer*>(self);
          detail::require_takes(each, config);
          each.check_replace(config);
        }),
        trains_bias_([](const void* self) -> bool {
          const Layer& each = *static_cast<const Layer*>(self);
          if constexpr (requires { each.trains_bias(); })
            return each.trains_bias();
          else
            return each.config().train_bias;
        }) {}

  [[nodiscard]] const std::string& name() const { return name_(layer_); }
  [[nodiscard]] const LoRAConfig& config() const { return config_(layer_); }

  /// Lists the tensors that the layer's adapter would have with `config`; their parameters are as
  /// they are now. With train_bias the base layer's bias is one, if there is any.
  [[nodiscard]] std::vector<AdapterTensor<T>> tensors(const LoRAConfig& config) const {
    return tensors_(layer_, config);
  }

  /// Throws what replace_adapter would throw for `config` with matrices that fit.
  void check_replace(const LoRAConfig& config) const { check_replace_(layer_, config); }

  /// Tells whether the base layer's bias trains, whatever the reason.
  [[nodiscard]] bool trains_bias() const { return trains_bias_(layer_); }

 private:
  const void* layer_;
  const std::string& (*name_)(const void*);
  const LoRAConfig& (*config_)(const void*);
  std::vector<AdapterTensor<T>> (*tensors_)(const void*, const LoRAConfig&);
  void (*check_replace_)(const void*, const LoRAConfig&);
  bool (*trains_bias_)(const void*);
};

/// A reference to an adapted layer of any kind, to be loaded too. The layer must outlive the
/// reference and stay where it is.
template <class T>
class AdaptedLayerRef : public AdaptedLayerView<T> {
 public:
  /// Refers to `layer`.
  template <class Layer>
  requires(AdaptedLayer<Layer, T> && !std::is_const_v<Layer>) AdaptedLayerRef(Layer& layer)
      : AdaptedLayerView<T>(layer),
        layer_(&layer),
        parameters_(
            [](void* self) -> ParameterList<T> { return static_cast<Layer*>(self)->parameters(); }),
        replace_([](void* self, const LoRAConfig& config, std::vector<Matrix<T>> values) {
          detail::replace_adapter(*static_cast<Layer*>(self), config, std::move(values));
        }) {
    if constexpr (requires { requires Layer::takes_starts; }) {
      whole_weight_ = [](const void* self, const Place& where) -> Matrix<T> {
        const Layer& each = *static_cast<const Layer*>(self);
        each.require_splittable(where);
        return each.weight().dense();
      };
      start_from_ = [](void* self, SplitStart<T> start, LoRAInit init) {
        static_cast<Layer*>(self)->start_from(std::move(start), init);
      };
    }
  }

  /// Lists what trains.
  [[nodiscard]] ParameterList<T> parameters() const { return parameters_(layer_); }

  /// Gives the layer these settings and values, one matrix for each of tensors(config).
  void replace_adapter(const LoRAConfig& config, std::vector<Matrix<T>> values) const {
    replace_(layer_, config, std::move(values));
  }

  /// Returns W (out, in), for a start that takes part of it into the adapter. Throws, naming
  /// `where`, what the layer's start_from would throw, and ConfigError for a layer that has none: a
  /// convolution, a weight in codes.
  [[nodiscard]] Matrix<T> whole_weight(const Place& where) const {
    if (whole_weight_ == nullptr)
      throw ConfigError(message(where,
                                ": a layer of this kind, or over such a storage, cannot "
                                "give part of its weight to the adapter"));
    return whole_weight_(layer_, where);
  }

  /// Takes a start that was made of whole_weight: see LoRAOverWeight::start_from.
  void start_from(SplitStart<T> start, LoRAInit init) const {
    if (start_from_ == nullptr) static_cast<void>(whole_weight({"start_from", this->name()}));
    start_from_(layer_, std::move(start), init);
  }

 private:
  void* layer_;
  ParameterList<T> (*parameters_)(void*);
  void (*replace_)(void*, const LoRAConfig&, std::vector<Matrix<T>>);
  Matrix<T> (*whole_weight_)(const void*, const Place&) = nullptr;
  void (*start_from_)(void*, SplitStart<T>, LoRAInit) = nullptr;
};

/// A group of layers that are computed together: part(p) is the p-th.
template <class Group>
concept AdaptedLayerGroup = requires(Group& group, std::size_t p) {
  { group.size() } -> std::convertible_to<std::size_t>;
  requires AdaptedLayer < std::remove_cvref_t<decltype(group.part(p))>,
  typename Group::Scalar > ;
};

/// What can be saved on its own: an adapted layer, or a group of them.
template <class Layer>
concept LayerOrGroup =
    AdaptedLayer<Layer, typename std::remove_const_t<Layer>::Scalar> || AdaptedLayerGroup<Layer>;

/// Returns the layers, those of groups one by one, in the order of the arguments. Ref is
/// AdaptedLayerRef or AdaptedLayerView of one scalar.
template <class Ref, LayerOrGroup... Layers>
[[nodiscard]] std::vector<Ref> list_adapted_layers(Layers&... layers) {
  std::vector<Ref> all;
  const auto append = [&all](auto& layer) {
    if constexpr (AdaptedLayerGroup<std::remove_reference_t<decltype(layer)>>)
      for (std::size_t p = 0; p < layer.size(); ++p) all.emplace_back(layer.part(p));
    else
      all.emplace_back(layer);
  };
  (append(layers), ...);
  return all;
}

/// Throws ConfigError if two layers have one name: both would get the same tensors.
template <class T>
void require_distinct_layers(std::span<const AdaptedLayerView<T>> layers, const char* where) {
  std::set<std::string_view> names;
  for (const AdaptedLayerView<T>& layer : layers)
    if (!names.insert(layer.name()).second)
      throw ConfigError(message(where, ": two layers are called ", in_quotes(layer.name()),
                                ": give each its own name with set_name"));
}

}  // namespace lora
