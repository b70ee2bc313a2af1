#pragma once

#include <algorithm>
#include <concepts>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "lora/core/parameter_list.hpp"
#include "lora/io/atomic_file.hpp"
#include "lora/io/mapped_file.hpp"
#include "lora/io/safetensors/safetensors_writer.hpp"
#include "lora/layers/adapted_layer_ref.hpp"
#include "lora/peft/adapter_description.hpp"
#include "lora/peft/adapter_files.hpp"

namespace lora::peft {

/// Sets up save_adapter.
template <class T>
struct AdapterSaveOptions {
  std::optional<PeftConfig> config = {};  ///< what to keep: see describe_adapters
  io::DType dtype = io::dtype_of<T>;      ///< of the numbers in the file: F64, F32, F16, BF16
  ParameterList<T> parameters = {};       ///< of modules that are stored whole: a new head's
};

namespace detail {

// A parameter of one row is a vector in PyTorch if it is a bias, or the scale of a norm, whose bias
// has its size; otherwise it is the weight of a layer with one output.
template <class T>
[[nodiscard]] io::Shape stored_shape(const Parameter<T>& parameter, const ParameterList<T>& all) {
  const Index rows = parameter.value.rows(), cols = parameter.value.cols();
  const std::string module = parameter.name.substr(0, parameter.name.rfind('.'));
  const auto bias = std::find_if(all.begin(), all.end(), [&](const Parameter<T>* other) {
    return other->name == module + ".bias" && other->size() == cols;
  });
  const bool is_vector =
      rows == 1 && (parameter.name.ends_with("bias") || (bias != all.end() && cols > 1));
  return is_vector ? io::Shape{cols} : io::Shape{rows, cols};
}

[[nodiscard]] inline bool file_holds(const std::filesystem::path& path, std::string_view text) {
  std::error_code ignored;
  if (std::filesystem::file_size(path, ignored) != text.size()) return false;
  const io::MappedFile file(path);
  return std::ranges::equal(file.bytes(), std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace detail

/// Saves the adapters of `slots` as PEFT does: `directory`, made if there is none, then holds
/// adapter_config.json and adapter_model.safetensors with `base_model.model.<name>.lora_A.weight`
/// (rank, in) and `.lora_B.weight` (out, rank) of each layer, `.base_layer.bias` where biases
/// train, and options.parameters under their own names.
///
/// Both files are written in full under other names, brought to the disk and then renamed over the
/// old ones: the weights, then the settings if they changed. A crash between the two renames leaves
/// new weights beside old settings. Where ranks differ, every reader refuses that pair; where only
/// alphas do, the new weights are scaled as the old ones were. A run that saves itself again and
/// again with the same settings replaces the weights alone, so there is nothing in between.
///
/// Throws ConfigError (see describe_adapters) and FileError.
template <class T>
void save_adapter(const std::filesystem::path& directory,
                  const std::vector<AdaptedLayerRef<T>>& slots,
                  const AdapterSaveOptions<T>& options = {}) {
  const PeftConfig config = describe_adapters(slots, options.parameters, options.config);
  const std::string text = peft_config_text(config);
  std::vector<io::Tensor> tensors;
  const auto add = [&](const std::string& name, const Matrix<T>& value, const io::Shape& shape) {
    tensors.push_back(io::make_tensor(adapter_key(name), value, shape, options.dtype));
  };
  for (const AdaptedLayerRef<T>& slot : slots) {
    const Index rank = slot.config().rank;
    add(slot.name() + ".lora_A.weight", slot.lora_A().value, {rank, slot.in_features()});
    add(slot.name() + ".lora_B.weight", slot.lora_B().value, {slot.out_features(), rank});
    if (config.bias != "none" && slot.bias() != nullptr)
      add(slot.name() + ".base_layer.bias", slot.bias()->value, {slot.out_features()});
  }
  for (const Parameter<T>* parameter : options.parameters)
    add(parameter->name, parameter->value, detail::stored_shape(*parameter, options.parameters));

  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error)
    throw FileError(message(directory.string(), ": cannot make the directory: ", error.message()));
  io::AtomicFile weights_file(directory / adapter_weights_file);
  io::write_safetensors(weights_file, std::move(tensors));
  weights_file.flush();
  if (detail::file_holds(directory / adapter_config_file, text)) return weights_file.commit();
  io::AtomicFile config_file(directory / adapter_config_file);
  config_file.write(text);
  config_file.flush();
  weights_file.commit();
  config_file.commit();
}

/// Saves the adapter of one layer.
template <class Layer>
requires std::constructible_from<AdaptedLayerRef<typename Layer::Scalar>, Layer&> void save_adapter(
    const std::filesystem::path& directory, Layer& layer,
    const AdapterSaveOptions<typename Layer::Scalar>& options = {}) {
  using T = typename Layer::Scalar;
  save_adapter(directory, std::vector<AdaptedLayerRef<T>>{AdaptedLayerRef<T>(layer)}, options);
}

}  // namespace lora::peft
