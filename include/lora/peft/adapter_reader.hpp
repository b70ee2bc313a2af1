#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/parameter_list.hpp"
#include "lora/core/printable.hpp"
#include "lora/layers/adapted_layer_ref.hpp"
#include "lora/peft/adapter_weights.hpp"
#include "lora/peft/module_rules.hpp"
#include "lora/peft/peft_config_file.hpp"

namespace lora::peft {

/// The settings of load_adapter.
template <class T>
struct AdapterLoadOptions {
  ParameterList<T> parameters = {};  ///< of modules that are stored whole: a new head's
  /// Finds the base model's tensors. Copies of them that lie beside the adapter
  /// (save_embedding_layers) are accepted where they are equal, and an error where they are not.
  BaseTensors base = {};
  /// Lets a layer that target_modules selects be absent from the file, as PEFT does with a warning.
  /// Its adapter must still be new, and stays so.
  bool may_lack_layers = false;
  /// The layer_replication that the layers were made by: a file of another is refused, whose names
  /// could be those of other layers.
  std::vector<std::pair<Index, Index>> layer_replication = {};
  /// The tokens from which on the model that has the layers lets them act: likewise.
  std::vector<int> alora_invocation_tokens = {};
  /// The rows that train of the modules whose values() are among `parameters`: likewise.
  std::map<std::string, std::vector<int>> trainable_token_indices = {};
  bool allow_not_finite = false;  ///< loads NaN and infinity, which are refused otherwise
};

namespace detail {

/// A reader of what each layer and parameter gets, which changes none of them.
template <class T>
class AdapterLoader {
 public:
  AdapterLoader(const std::filesystem::path& directory, const AdapterLoadOptions<T>& options)
      : AdapterLoader(open_adapter(directory), options) {}

  AdapterLoader(OpenAdapter files, const AdapterLoadOptions<T>& options)
      : options_(options),
        config_(std::move(files.config)),
        rules_(config_),
        weights_(std::move(files.weights)) {
    if (config_.layer_replication != options.layer_replication)
      throw FileError(message(weights_.path().string(),
                              ": layer_replication of adapter_config.json is not that of the "
                              "layers: build the model with it as its tuning"));
    if (config_.alora_invocation_tokens != options.alora_invocation_tokens)
      throw FileError(message(weights_.path().string(),
                              ": alora_invocation_tokens of adapter_config.json are not those of "
                              "the model: build it with them as its tuning"));
    if (config_.trainable_token_indices != options.trainable_token_indices)
      throw FileError(message(weights_.path().string(),
                              ": trainable_token_indices of adapter_config.json are not those of "
                              "the model: build it with them as its tuning"));
  }

  struct Adapter {
    LoRAConfig config;
    std::vector<Matrix<T>> values;
  };

  [[nodiscard]] Adapter read(const AdaptedLayerView<T>& layer) {
    Adapter adapter{config_.layer_config(layer.name()), {}};
    const auto is_bias = [](const AdapterTensor<T>& tensor) {
      return tensor.suffix == ".base_layer.bias";
    };
    auto tensors = layer.tensors(adapter.config);
    adapter.config.train_bias = std::any_of(tensors.begin(), tensors.end(), is_bias);
    adapter.config.freeze_a =
        layer.config().freeze_a;  // how it trains here, of which no file tells
    layer.check_replace(adapter.config);
    const auto in_file = [&](const AdapterTensor<T>& tensor) {
      return weights_.contains(layer.name() + tensor.suffix);
    };
    const bool lacks = options_.may_lack_layers &&
                       std::none_of(tensors.begin(), tensors.end(), in_file) &&
                       rules_.is_targeted(wrapped_module(layer.name()));
    for (const AdapterTensor<T>& tensor : tensors)
      adapter.values.push_back(lacks ? current(layer, tensor)
                                     : weights_.template read<T>(layer.name() + tensor.suffix,
                                                                 tensor.shape,
                                                                 options_.allow_not_finite));
    if (lacks && (std::none_of(tensors.begin(), tensors.end(), is_zero) ||
                  std::any_of(tensors.begin(), tensors.end(), is_trained_b_bias)))
      throw FileError(weights_.path().string() + ": has no tensors for " + in_quotes(layer.name()) +
                      ", whose adapter is not new any more");
    return adapter;
  }

  /// Returns the value of a parameter that is stored whole, and the shape that it has in the file:
  /// its own, or a row of numbers as a vector or a matrix.
  [[nodiscard]] std::pair<Matrix<T>, io::Shape> read(const Parameter<T>& parameter) {
    const io::Shape own = parameter.shape(), row{1, parameter.size()}, vector{parameter.size()};
    const io::Shape& stored = weights_.shape(parameter.name);
    const bool is_row = (own == row || own == vector) && (stored == row || stored == vector);
    Matrix<T> value =
        weights_.template read<T>(parameter.name, is_row ? stored : own, options_.allow_not_finite);
    value.resize(parameter.value.rows(), parameter.value.cols());
    return {std::move(value), stored};
  }

  [[nodiscard]] PeftConfig finish() && {
    weights_.require_all_used(options_.base);
    return std::move(config_);
  }

 private:
  // A product of factors changes nothing while one of them is zero.
  static bool is_zero(const AdapterTensor<T>& tensor) {
    return tensor.suffix.starts_with(".lora_") && tensor.suffix != magnitude_suffix &&
           tensor.suffix != b_bias_suffix && tensor.parameter->value.isZero(0);
  }

  // It is added whatever the factors are.
  static bool is_trained_b_bias(const AdapterTensor<T>& tensor) {
    return tensor.suffix == b_bias_suffix && !tensor.parameter->value.isZero(0);
  }

  [[nodiscard]] Matrix<T> current(const AdaptedLayerView<T>& layer,
                                  const AdapterTensor<T>& tensor) const {
    const MatrixShape size(tensor.shape);
    const auto& value = tensor.parameter->value;
    if (value.rows() != size.rows || value.cols() != size.cols)
      throw FileError(message(weights_.path().string(), ": has no tensors for ",
                              in_quotes(layer.name()), ", whose own are of shape ", shape_of(value),
                              ", expected (", size.rows, ", ", size.cols,
                              ") by adapter_config.json"));
    return value;
  }

  const AdapterLoadOptions<T>& options_;
  PeftConfig config_;
  ModuleRules rules_;
  AdapterWeights weights_;
};

}  // namespace detail

/// Loads an adapter that PEFT or save_adapter wrote into `layers`, found by their names, and
/// returns its settings. Ranks, alphas and dropout become the file's; options.parameters get the
/// tensors of their names. F64, F32, F16 and BF16 are converted to T.
///
/// Throws FileError if anything is wrong: a truncated or lying file, settings that are not built
/// here (parse_peft_config), a tensor that is missing, has no place, or another shape. Throws what
/// the layers throw of replace_adapter, StateError while merged, and ConfigError for two of one
/// name. Biases and options.parameters are overwritten in place: where an adapter has some, the
/// layers must not compute meanwhile, as they may while factors alone are replaced. Whichever is
/// thrown, nothing has changed in any layer or parameter.
template <class T>
PeftConfig load_adapter(const std::filesystem::path& directory,
                        const std::vector<AdaptedLayerRef<T>>& layers,
                        const AdapterLoadOptions<T>& options = {}) {
  const std::vector<AdaptedLayerView<T>> views(layers.begin(), layers.end());
  require_distinct_layers<T>(views, "load_adapter");
  require_distinct(options.parameters, "load_adapter");
  detail::AdapterLoader<T> loader(directory, options);
  std::vector<typename detail::AdapterLoader<T>::Adapter> adapters;
  std::vector<std::pair<Matrix<T>, io::Shape>> values;
  adapters.reserve(layers.size());
  values.reserve(options.parameters.size());
  for (const AdaptedLayerRef<T>& layer : layers) adapters.push_back(loader.read(layer));
  for (const Parameter<T>* parameter : options.parameters)
    values.push_back(loader.read(*parameter));
  PeftConfig config = std::move(loader).finish();

  for (std::size_t i = 0; i < layers.size(); ++i)
    layers[i].replace_adapter(adapters[i].config, std::move(adapters[i].values));
  for (std::size_t i = 0; i < values.size(); ++i) {
    options.parameters[i]->value = values[i].first;
    options.parameters[i]->set_shape(std::move(values[i].second));
    options.parameters[i]->zero_grad();
  }
  return config;
}

/// Loads the adapter of one layer, or of a group's layers.
template <LayerOrGroup Layer>
PeftConfig load_adapter(const std::filesystem::path& directory, Layer& layer,
                        const AdapterLoadOptions<typename Layer::Scalar>& options = {}) {
  using T = typename Layer::Scalar;
  return load_adapter(directory, list_adapted_layers<AdaptedLayerRef<T>>(layer), options);
}

}  // namespace lora::peft
