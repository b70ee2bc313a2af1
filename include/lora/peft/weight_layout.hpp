#pragma once

#include <filesystem>
#include <string_view>

#include "lora/io/json.hpp"
#include "lora/io/mapped_file.hpp"

namespace lora::peft {

/// Tells whether the model in `directory` keeps the weights of its linear modules as (in, out), as
/// transformers' Conv1D does: by its config.json, for the types GPT-2, GPT and ImageGPT. Without a
/// config.json it is taken not to. Throws FileError for one that is no JSON.
[[nodiscard]] inline bool has_transposed_weights(const std::filesystem::path& directory) {
  const auto path = directory / "config.json";
  if (!io::is_there(path)) return false;
  const io::MappedFile file(path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  const io::Json json = io::parse_json(text, path.string(), io::python_json);
  if (!json.is_object() || !json.contains("model_type")) return false;
  const io::Json& type = json["model_type"];
  return type == "gpt2" || type == "openai-gpt" || type == "imagegpt";
}

}  // namespace lora::peft
