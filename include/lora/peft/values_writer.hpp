#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "lora/peft/adapter_values.hpp"
#include "lora/peft/adapter_writer.hpp"
#include "lora/peft/describe_values.hpp"

namespace lora::peft {

/// Saves an adapter that is in memory, as read_adapter returns it, in the way in which save_adapter
/// saves layers: `directory`, made if there is none, then holds adapter_config.json and
/// adapter_model.safetensors with the numbers as `dtype`; after a crash each of the two is the old
/// file or the new one.
///
/// Throws ConfigError if there is no module, and where config does not give a module the rank and
/// scaling that its factors have, does not select it (see describe_values), or has another
/// use_dora or lora_bias; ShapeError for factors of another rank; FileError for a number outside of
/// dtype's range and where the files cannot be written.
template <class T>
void save_adapter(const std::filesystem::path& directory, const AdapterValues<T>& adapter,
                  io::DType dtype = io::dtype_of<T>) {
  if (adapter.modules.empty()) throw ConfigError("save_adapter: the adapter has no adapted module");
  const ModuleRules rules(adapter.config);
  const bool can_tell = !detail::targets_need_model(adapter.config.target_modules);
  std::vector<io::Tensor> tensors;
  const auto add = [&](const std::string& name, const StoredTensor<T>& tensor) {
    tensors.push_back(io::make_tensor(adapter_key(name), tensor.value, tensor.shape, dtype));
  };
  for (const auto& [name, factors] : adapter.modules) {
    const LoRAConfig stored = adapter.config.layer_config(name);
    if (stored.rank != factors.config.rank || stored.scaling() != factors.config.scaling())
      throw ConfigError(message("save_adapter: the settings give ", in_quotes(name), " rank ",
                                stored.rank, " and scaling ", stored.scaling(), ", its factors ",
                                factors.config.rank, " and ", factors.config.scaling(),
                                ": see describe_values"));
    detail::require_rank(factors, name, "save_adapter");
    if (can_tell && !rules.is_targeted(wrapped_module(name)))
      throw ConfigError(message("save_adapter: target_modules does not select ", in_quotes(name),
                                ", so readers would drop it: see describe_values"));
    if (adapter.config.use_dora != factors.magnitude.has_value())
      throw ConfigError(message(
          "save_adapter: use_dora is ", adapter.config.use_dora ? "set, and " : "not set, and ",
          in_quotes(name), factors.magnitude ? " has" : " has no", " magnitudes"));
    if (adapter.config.lora_bias != factors.b_bias.has_value())
      throw ConfigError(message(
          "save_adapter: lora_bias is ", adapter.config.lora_bias ? "set, and " : "not set, and ",
          in_quotes(name), factors.b_bias ? " has" : " has no", " bias of B"));
    add(name + (factors.is_embedding ? ".lora_embedding_A" : ".lora_A.weight"), factors.a);
    add(name + (factors.is_embedding ? ".lora_embedding_B" : ".lora_B.weight"), factors.b);
    if (factors.b_bias) add(name + b_bias_suffix, *factors.b_bias);
    if (factors.magnitude) add(name + magnitude_suffix, *factors.magnitude);
  }
  for (const auto& [name, tensor] : adapter.others) {
    add(name, tensor);
    detail::add_batch_count(name, tensors);
  }
  detail::write_adapter(directory, peft_config_text(adapter.config), std::move(tensors));
}

}  // namespace lora::peft
