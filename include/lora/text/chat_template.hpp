#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "lora/io/gguf/gguf_reader.hpp"
#include "lora/io/mapped_file.hpp"
#include "lora/text/file_text.hpp"
#include "lora/text/json_fields.hpp"
#include "lora/text/tokenizer_limit.hpp"

namespace lora::text {

namespace detail {

/// Returns the text of "chat_template" in a tokenizer_config.json: itself, or of several the one
/// that is called "default".
[[nodiscard]] inline std::optional<std::string> chat_template_of_config(const JsonFields& config) {
  const io::Json* found = config.find("chat_template");
  if (found == nullptr) return std::nullopt;
  if (found->is_string()) return found->get<std::string>();
  for (const io::Json& each : config.array("chat_template")) {
    const JsonFields fields(each, config.where() + ", chat_template");
    if (fields.string("name") == "default") return fields.string("template");
  }
  return std::nullopt;
}

}  // namespace detail

/// Returns the chat template that a language model comes with, where it has one: of a folder in
/// Hugging Face's layout chat_template.jinja or, without that, what tokenizer_config.json says; of
/// a GGUF file the key tokenizer.chat_template. Throws FileError for files that cannot be read.
[[nodiscard]] inline std::optional<std::string> read_chat_template(
    const std::filesystem::path& path) {
  if (io::is_gguf(path)) {
    const io::GgufReader file(path);
    constexpr const char* key = "tokenizer.chat_template";
    if (!file.metadata().has(key)) return std::nullopt;
    return std::string(file.metadata().text(key));
  }
  if (const auto jinja = path / "chat_template.jinja"; io::is_there(jinja)) {
    const io::MappedFile file(jinja);
    require_tokenizer_size(text_of(file), jinja.string());
    return std::string(text_of(file));
  }
  const auto config = path / "tokenizer_config.json";
  if (!io::is_there(config)) return std::nullopt;
  const io::MappedFile file(config);
  require_tokenizer_size(text_of(file), config.string());
  const io::Json json = io::parse_json(text_of(file), config.string(), io::python_json);
  return detail::chat_template_of_config(JsonFields(json, config.string()));
}

}  // namespace lora::text
