#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
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
#include "lora/io/batch_count.hpp"
#include "lora/io/directory.hpp"
#include "lora/io/mapped_file.hpp"
#include "lora/io/platform/posix_files.hpp"
#include "lora/io/platform/system_error.hpp"
#include "lora/io/platform/windows_files.hpp"
#include "lora/io/safetensors/safetensors_writer.hpp"
#include "lora/layers/adapted_layer_ref.hpp"
#include "lora/peft/adapter_description.hpp"
#include "lora/peft/adapter_files.hpp"
#include "lora/peft/peft_config_text.hpp"

namespace lora::peft {

/// The settings of save_adapter.
template <class T>
struct AdapterSaveOptions {
  std::optional<PeftConfig> config = {};  ///< what to keep: see describe_adapters
  io::DType dtype = io::dtype_of<T>;      ///< of the numbers in the file: F64, F32, F16, BF16
  ParameterList<T> parameters = {};       ///< of modules that are stored whole: a new head's
  std::vector<ModuleName> modules = {};   ///< all of the model's, where known: describe_adapters
};

namespace detail {

[[nodiscard]] inline bool file_holds(const std::filesystem::path& path, std::string_view text) {
  std::error_code ignored;
  if (std::filesystem::file_size(path, ignored) != text.size()) return false;
  const io::MappedFile file(path);
  return std::ranges::equal(file.bytes(), std::as_bytes(std::span(text.data(), text.size())));
}

// Beside the statistics of a batch norm.
inline void add_batch_count(const std::string& name, std::vector<io::Tensor>& tensors) {
  constexpr std::string_view end = ".running_mean";
  if (name.ends_with(end))
    tensors.push_back(io::batch_count(adapter_key(name.substr(0, name.size() - end.size()))));
}

// A file that has another name until it is replaced, or gets its own back. Where there was none,
// the new one goes.
class FileAside {
 public:
  explicit FileAside(std::filesystem::path path) : path_(std::move(path)) {
    if (!io::is_there(path_)) return;
    const std::filesystem::path aside = path_.parent_path() / io::AtomicFile::temporary_name();
    std::error_code error;
    std::filesystem::rename(path_, aside, error);
    if (error) io::throw_system_error(path_, "cannot give way to the new file", error);
    aside_ = aside;
  }
  FileAside(const FileAside&) = delete;
  FileAside& operator=(const FileAside&) = delete;
  ~FileAside() {
    std::error_code ignored;
    if (!aside_.empty())
      std::filesystem::rename(aside_, path_, ignored);
    else if (has_new_)
      std::filesystem::remove(path_, ignored);
  }

  // Says that the new file has its place, which is not the end of it.
  void placed() { has_new_ = true; }

  void replaced() {
    std::error_code ignored;
    if (!aside_.empty()) std::filesystem::remove(aside_, ignored);
    aside_.clear();
    has_new_ = false;
  }

 private:
  std::filesystem::path path_;
  std::filesystem::path aside_;
  bool has_new_ = false;
};

// Both files in full under other names first, then renamed: see save_adapter.
inline void write_adapter(const std::filesystem::path& directory, const std::string& config,
                          std::vector<io::Tensor> tensors) {
  io::make_directory(directory);
  io::AtomicFile weights_file(directory / adapter_weights_file);
  io::write_safetensors(weights_file, std::move(tensors));
  weights_file.flush();
  const io::platform::DirectoryLock one_after_the_other(directory);
  if (file_holds(directory / adapter_config_file, config)) return weights_file.commit();
  io::AtomicFile config_file(directory / adapter_config_file);
  config_file.write(config);
  config_file.flush();
  // No weights between the renames: with the old ones beside new settings, or the other way
  // round, another alpha would scale them without a word.
  FileAside old_weights(directory / adapter_weights_file);
  FileAside old_config(directory / adapter_config_file);
  config_file.rename();
  old_config.placed();
  weights_file.rename();
  old_config.replaced();
  old_weights.replaced();
  config_file.commit();
}

}  // namespace detail

/// Saves the adapters of `layers` as PEFT does: `directory`, made if there is none, then holds
/// adapter_config.json and adapter_model.safetensors with the tensors that the layers describe,
/// `base_model.model.<name>.lora_A.weight` (rank, in) and `.lora_B.weight` (out, rank) of a linear
/// one, `.base_layer.bias` where biases train, and options.parameters under their own names.
///
/// Both files are written in full under other names, brought to the disk and then renamed over the
/// old ones. A run that saves itself again and again with the same settings replaces the weights
/// alone, in one rename: a crash leaves the old adapter or the new one. With other settings both
/// old files are set aside before the new ones are renamed, so that every reader refuses what a
/// crash just there leaves, rather than scale weights by another adapter's alpha; what is missing
/// is then beside it as `.lora-*.tmp`. Of several that save to one directory each writes both files
/// or neither, one after the other (not on Windows, nor where the file system knows no locks).
///
/// The factor of set_scale is not saved, as in PEFT. Nobody may replace an adapter meanwhile.
/// Throws ConfigError (see describe_adapters) and FileError.
template <class T>
void save_adapter(const std::filesystem::path& directory,
                  std::span<const AdaptedLayerView<T>> layers,
                  const AdapterSaveOptions<T>& options = {}) {
  const PeftConfig config =
      describe_adapters(layers, options.parameters, options.config, options.modules);
  const std::string text = peft_config_text(config);
  std::vector<io::Tensor> tensors;
  const auto add = [&](const std::string& name, const auto& value, const io::Shape& shape) {
    tensors.push_back(io::make_tensor(adapter_key(name), value, shape, options.dtype));
  };
  for (const AdaptedLayerView<T>& layer : layers) {
    LoRAConfig settings = layer.config();
    settings.train_bias = config.bias != "none";  // PEFT stores the biases of all adapted layers
    for (const AdapterTensor<T>& tensor : layer.tensors(settings))
      add(layer.name() + tensor.suffix, tensor.parameter->value, tensor.shape);
  }
  for (const Parameter<T>* parameter : options.parameters) {
    add(parameter->name, parameter->value, parameter->shape());
    detail::add_batch_count(parameter->name, tensors);
  }

  detail::write_adapter(directory, text, std::move(tensors));
}

/// Does the same for layers that can be loaded too.
template <class T>
void save_adapter(const std::filesystem::path& directory,
                  const std::vector<AdaptedLayerRef<T>>& layers,
                  const AdapterSaveOptions<T>& options = {}) {
  const std::vector<AdaptedLayerView<T>> views(layers.begin(), layers.end());
  save_adapter(directory, std::span<const AdaptedLayerView<T>>(views), options);
}

/// Saves the adapter of one layer, or of a group's layers.
template <LayerOrGroup Layer>
void save_adapter(const std::filesystem::path& directory, const Layer& layer,
                  const AdapterSaveOptions<typename Layer::Scalar>& options = {}) {
  using T = typename Layer::Scalar;
  const auto views = list_adapted_layers<AdaptedLayerView<T>>(layer);
  save_adapter(directory, std::span<const AdaptedLayerView<T>>(views), options);
}

}  // namespace lora::peft

#ifdef LORA_COMPILED
#include "lora/compiled/adapter_writer.hpp"
#endif
