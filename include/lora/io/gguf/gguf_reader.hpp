#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "lora/core/printable.hpp"
#include "lora/io/gguf/gguf_parser.hpp"
#include "lora/io/mapped_file.hpp"

namespace lora::io {

/// Tells whether a path names a GGUF file: by its extension.
[[nodiscard]] inline bool is_gguf(const std::filesystem::path& path) {
  return path.extension() == ".gguf";
}

/// A GGUF file (llama.cpp's format for models and adapters), mapped into memory.
class GgufReader {
 public:
  /// Opens the file. Throws FileError.
  explicit GgufReader(const std::filesystem::path& path)
      : file_(path), contents_(parse_gguf(file_.bytes(), path.string())) {}

  [[nodiscard]] const std::filesystem::path& path() const { return file_.path(); }
  [[nodiscard]] const GgufMetadata& metadata() const { return contents_.metadata; }
  [[nodiscard]] const std::map<std::string, GgufTensor, std::less<>>& tensors() const {
    return contents_.tensors;
  }

  /// Returns the tensor of that name. Throws FileError if there is none.
  [[nodiscard]] const GgufTensor& tensor(const std::string& name) const {
    const auto found = tensors().find(name);
    if (found == tensors().end())
      throw FileError(message(path().string(), ": tensor ", in_quotes(name), " is missing"));
    return found->second;
  }

  /// Gives back the memory that holds parts of the file; they are read again when looked at.
  void release_pages() const { file_.release_pages(); }

 private:
  MappedFile file_;
  GgufContents contents_;
};

}  // namespace lora::io
