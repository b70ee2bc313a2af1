#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/parameter_list.hpp"
#include "lora/io/mapped_file.hpp"
#include "lora/io/safetensors/safetensors_reader.hpp"
#include "lora/layers/adapted_layer_ref.hpp"
#include "lora/peft/adapter_files.hpp"
#include "lora/peft/peft_config.hpp"

namespace lora::peft {

/// Sets up load_adapter.
template <class T>
struct AdapterLoadOptions {
  ParameterList<T> parameters = {};  ///< of modules that are stored whole: a new head's
};

/// Reads directory/adapter_config.json. Throws FileError; see parse_peft_config.
[[nodiscard]] inline PeftConfig read_peft_config(const std::filesystem::path& directory) {
  const io::MappedFile file(directory / adapter_config_file);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  return parse_peft_config(text, file.path().string());
}

namespace detail {

/// Reads the tensors of an adapter's file and notes which ones; `T` is what they are converted to.
template <class T>
class AdapterTensors {
 public:
  explicit AdapterTensors(const std::filesystem::path& directory) : file_(weights(directory)) {}

  /// Returns the tensor that belongs to the base model's `name`. Throws FileError unless its shape
  /// is `expected`.
  [[nodiscard]] Matrix<T> read(const std::string& name, const io::Shape& expected) {
    const std::string key = adapter_key(name);
    const io::Shape& shape = file_.tensor(key).shape;
    if (shape != expected)
      throw FileError(message(file_.path().string(), ": tensor \"", key, "\" is of shape ",
                              io::shape_text(shape), ", expected ", io::shape_text(expected)));
    used_.insert(key);
    return file_.read<T>(key);
  }

  /// Returns the value of a parameter; one of a single row may be a vector in the file.
  [[nodiscard]] Matrix<T> read(const Parameter<T>& parameter) {
    const Index rows = parameter.value.rows(), cols = parameter.value.cols();
    const bool is_vector = file_.tensor(adapter_key(parameter.name)).shape.size() == 1;
    return read(parameter.name, rows == 1 && is_vector ? io::Shape{cols} : io::Shape{rows, cols});
  }

  /// Throws FileError if there is a tensor that was not read.
  void require_all_used(const PeftConfig& config) const {
    for (const auto& [key, view] : file_.tensors())
      if (!used_.contains(key) && !(config.bias == "all" && is_copy_of_bias(key)))
        throw FileError(file_.path().string() + ": tensor \"" + key +
                        "\" has no place among the layers and parameters that are loaded");
  }

 private:
  static std::filesystem::path weights(const std::filesystem::path& directory) {
    auto path = directory / adapter_weights_file;
    const auto pickle = directory / "adapter_model.bin";
    if (!io::is_there(path) && io::is_there(pickle))
      throw FileError(pickle.string() +
                      ": is a Python pickle, which can run any code and is not read: save the "
                      "adapter as safetensors");
    return path;
  }

  // With bias = "all", PEFT stores the biases inside a module X of modules_to_save three times: as
  // X.bias or X.part.bias, as the base model's, which nothing uses, and under their own names
  // inside PEFT: X.original_module.part.bias and X.modules_to_save.<adapter>.part.bias, where the
  // adapter's name is left out if no part follows.
  [[nodiscard]] bool is_copy_of_bias(const std::string& key) const {
    if (!key.ends_with(".bias")) return false;
    for (const std::string_view inside : {".original_module.", ".modules_to_save."}) {
      const std::size_t at = key.find(inside);
      if (at == std::string::npos) continue;
      const std::string block = key.substr(0, at), rest = key.substr(at + inside.size());
      // `rest` with the adapter's name before it or without.
      const std::size_t dot = rest.find('.');
      if (used_.contains(block + "." + rest)) return true;
      if (dot != std::string::npos && used_.contains(block + rest.substr(dot))) return true;
    }
    return false;
  }

  io::SafetensorsReader file_;
  std::set<std::string> used_;
};

}  // namespace detail

/// Loads an adapter that PEFT or save_adapter wrote into the layers of `slots`, found by their
/// names, and returns its settings. Ranks, alphas and dropout become the file's; options.parameters
/// get the tensors of their names. F64, F32, F16 and BF16 are converted to T.
///
/// Throws FileError if anything is wrong: a truncated or lying file, settings that are not built
/// here (parse_peft_config), a tensor that is missing, has no place, or another shape. Throws what
/// the layers throw of replace_adapter, StateError while merged. Whichever is thrown, nothing has
/// changed in any layer or parameter.
template <class T>
PeftConfig load_adapter(const std::filesystem::path& directory,
                        const std::vector<AdaptedLayerRef<T>>& slots,
                        const AdapterLoadOptions<T>& options = {}) {
  struct Factors {
    LoRAConfig config;
    Matrix<T> a, b, bias;
  };
  PeftConfig config = read_peft_config(directory);
  detail::AdapterTensors<T> tensors(directory);
  std::vector<Factors> factors;
  for (const AdaptedLayerRef<T>& slot : slots) {
    const std::string& name = slot.name();
    Factors& read = factors.emplace_back();
    read.config = config.layer_config(name);
    read.config.train_bias = read.config.train_bias && slot.bias() != nullptr;
    const Index rank = read.config.rank;
    read.a = tensors.read(name + ".lora_A.weight", {rank, slot.in_features()});
    read.b = tensors.read(name + ".lora_B.weight", {slot.out_features(), rank});
    if (read.config.train_bias)
      read.bias = tensors.read(name + ".base_layer.bias", {slot.out_features()});
    slot.check_replace(read.config);
  }
  std::vector<Matrix<T>> values;
  for (const Parameter<T>* parameter : options.parameters)
    values.push_back(tensors.read(*parameter));
  tensors.require_all_used(config);

  for (std::size_t i = 0; i < slots.size(); ++i) {
    Factors& read = factors[i];
    slots[i].replace_adapter(read.config, std::move(read.a), std::move(read.b));
    if (read.config.train_bias) {
      slots[i].bias()->value = read.bias;
      slots[i].bias()->zero_grad();
    }
  }
  for (std::size_t i = 0; i < values.size(); ++i) {
    options.parameters[i]->value = values[i];
    options.parameters[i]->zero_grad();
  }
  return config;
}

/// Loads the adapter of one layer.
template <class Layer>
requires std::constructible_from<AdaptedLayerRef<typename Layer::Scalar>, Layer&> PeftConfig
load_adapter(const std::filesystem::path& directory, Layer& layer,
             const AdapterLoadOptions<typename Layer::Scalar>& options = {}) {
  using T = typename Layer::Scalar;
  return load_adapter(directory, std::vector<AdaptedLayerRef<T>>{AdaptedLayerRef<T>(layer)},
                      options);
}

}  // namespace lora::peft
