#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace lora::peft {

/// The files of an adapter's directory, as PEFT calls them.
inline constexpr const char* adapter_config_file = "adapter_config.json";
inline constexpr const char* adapter_weights_file = "adapter_model.safetensors";

namespace detail {
inline constexpr std::string_view key_prefix = "base_model.model.";
}

/// Returns the key under which a file keeps the base model's tensor `name`.
[[nodiscard]] inline std::string adapter_key(std::string_view name) {
  return std::string(detail::key_prefix) + std::string(name);
}

namespace detail {

// Of magnitudes of DoRA.
inline std::string without_weight(std::string name) {
  constexpr std::string_view end = ".lora_magnitude_vector.weight";
  if (name.ends_with(end)) name.erase(name.size() - std::string_view(".weight").size());
  return name;
}

}  // namespace detail

/// Returns the name of a file's tensor in the base model, or nothing for a key without PEFT's
/// prefix. The adapter's name "default" is left out where PEFT accepts it: lora_A.default.weight,
/// and so is a ".weight" behind magnitudes of DoRA, which PEFT does not write.
[[nodiscard]] inline std::string tensor_name(std::string_view key) {
  if (!key.starts_with(detail::key_prefix)) return {};
  std::string name(key.substr(detail::key_prefix.size()));
  constexpr std::string_view adapter = ".default";
  const std::size_t lora = name.rfind(".lora_");
  if (lora == std::string::npos) return name;
  const std::size_t dot = name.find('.', lora + 1);
  if (dot == std::string::npos || name.compare(dot, adapter.size(), adapter) != 0)
    return detail::without_weight(std::move(name));
  const std::size_t end = dot + adapter.size();
  if (end == name.size() || name[end] == '.') name.erase(dot, adapter.size());
  return detail::without_weight(std::move(name));
}

}  // namespace lora::peft
