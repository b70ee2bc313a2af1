#pragma once

#include <filesystem>
#include <string>

#include "lora/io/gguf/gguf_reader.hpp"
#include "lora/models/common/config_fields.hpp"

namespace lora::models {

/// Returns what kind of model the files at `path` say they hold, for a program that takes several:
/// the model_type of path/config.json, or the general.architecture of a GGUF file. Throws FileError
/// where they do not say.
[[nodiscard]] inline std::string read_model_type(const std::filesystem::path& path) {
  if (io::is_gguf(path))
    return std::string(io::GgufReader(path).metadata().text("general.architecture"));
  const ConfigFields fields = read_config_fields(path);
  if (!fields.has("model_type")) fields.fail("has no \"model_type\"");
  if (!fields["model_type"].is_string()) fields.unexpected("model_type", "a text");
  return fields["model_type"].get<std::string>();
}

}  // namespace lora::models
