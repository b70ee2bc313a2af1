#pragma once

#include <filesystem>
#include <string_view>

#include "lora/io/json.hpp"
#include "lora/io/mapped_file.hpp"

namespace lora::peft {

namespace detail {

/// Returns the object of config.json in `directory`, an empty one without it.
[[nodiscard]] inline io::Json config_of(const std::filesystem::path& directory) {
  const auto path = directory / "config.json";
  if (!io::is_there(path)) return io::Json::object();
  const io::MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  io::Json json = io::parse_json(text, path.string(), io::python_json);
  return json.is_object() ? json : io::Json::object();
}

}  // namespace detail

/// Tells whether the model in `directory` keeps the weights of its linear modules as (in, out), as
/// transformers' Conv1D does: those do whose config.json has the type of GPT-2, GPT or ImageGPT.
/// Without a config.json the answer is no. Throws FileError for one that is not JSON.
[[nodiscard]] inline bool has_transposed_weights(const std::filesystem::path& directory) {
  const io::Json config = detail::config_of(directory);
  if (!config.contains("model_type")) return false;
  const io::Json& type = config["model_type"];
  return type == "gpt2" || type == "openai-gpt" || type == "imagegpt";
}

/// Tells whether the model in `directory` is one with a head over its vocabulary, by the name of
/// its class in config.json. Throws FileError for a config.json that is no JSON.
[[nodiscard]] inline bool has_language_head(const std::filesystem::path& directory) {
  const io::Json config = detail::config_of(directory);
  if (!config.contains("architectures") || !config["architectures"].is_array()) return false;
  for (const io::Json& name : config["architectures"])
    for (const char* part : {"LMHead", "CausalLM", "MaskedLM"})
      if (name.is_string() && name.get<std::string>().find(part) != std::string::npos) return true;
  return false;
}

}  // namespace lora::peft
