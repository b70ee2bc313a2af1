#pragma once

#include <algorithm>
#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "lora/core/printable.hpp"
#include "lora/io/gguf/gguf_reader.hpp"

namespace lora::models {

/// The settings of a model in its GGUF file, under keys that begin with its architecture:
/// "llama.block_count". Every error is a FileError that begins with the file's name.
class GgufFields {
 public:
  /// Takes the keys of a model of one of these architectures. Throws FileError for another, and for
  /// a file that is no model.
  GgufFields(const io::GgufReader& file, std::initializer_list<std::string_view> architectures)
      : file_(file), architecture_(metadata().text("general.architecture")) {
    if (std::find(architectures.begin(), architectures.end(), architecture_) == architectures.end())
      fail("general.architecture is " + in_quotes(architecture_) + ", expected " +
           either_of(architectures) + ": others are not built");
    if (metadata().has("general.type") && metadata().text("general.type") != "model")
      fail("general.type is " + in_quotes(metadata().text("general.type")) + ", expected model");
  }

  /// Returns the architecture, with which the model's keys begin, and all keys of the file.
  [[nodiscard]] const std::string& architecture() const { return architecture_; }
  [[nodiscard]] const io::GgufMetadata& metadata() const { return file_.metadata(); }

  /// Tells whether the file has that tensor.
  [[nodiscard]] bool has_tensor(const std::string& name) const {
    return file_.tensors().contains(name);
  }

  /// Throws FileError: the file's name and `what`.
  [[noreturn]] void fail(const std::string& what) const { metadata().fail(what); }

  /// Returns the whole key of a setting: "llama.block_count".
  [[nodiscard]] std::string key(std::string_view name) const {
    return architecture_ + "." + std::string(name);
  }

  /// Tells whether the file has that setting.
  [[nodiscard]] bool has(std::string_view name) const { return metadata().has(key(name)); }

  /// Returns a setting in [1, most]. Throws FileError if it is missing, of another type, or out of
  /// range; so do the others.
  [[nodiscard]] Index size(std::string_view name, Index most) const {
    return static_cast<Index>(metadata().integer(key(name), 1, most));
  }

  /// Returns the number of layers, which may be 0.
  [[nodiscard]] Index layers() const {
    return static_cast<Index>(metadata().integer(key("block_count"), 0, 10'000));
  }

  /// Returns a setting in [1e-30, 1], as what norms add to variances.
  [[nodiscard]] double small(std::string_view name) const {
    const double value = metadata().number(key(name));
    if (!(value >= 1e-30 && value <= 1))
      fail(message("the value of ", in_quotes(key(name)), " is ", value,
                   ", expected one in [1e-30, 1]"));
    return value;
  }

  /// Returns the rows of "token_embd.weight": no key says how many tokens there are.
  [[nodiscard]] Index vocab_size() const {
    const io::Shape& shape = file_.tensor("token_embd.weight").shape;
    if (shape.size() != 2)
      fail("tensor \"token_embd.weight\" is of shape " + io::shape_text(shape) +
           ", expected a matrix");
    return shape.front();
  }

  /// Sets the special tokens of `config`, a model's settings with their vocab_size.
  template <class Config>
  void read_tokens(Config& config) const {
    const auto token = [&](const char* name) -> std::optional<int> {
      const std::string key = message("tokenizer.ggml.", name, "_token_id");
      if (!metadata().has(key)) return std::nullopt;
      return static_cast<int>(metadata().integer(key, 0, config.vocab_size - 1));
    };
    config.bos_token_id = token("bos");
    config.pad_token_id = token("padding");
    for (const char* name : {"eos", "eot"})
      if (const auto id = token(name);
          id && (config.eos_token_ids.empty() || config.eos_token_ids.front() != *id))
        config.eos_token_ids.push_back(*id);
  }

 private:
  // "llama, qwen2 or qwen3"
  static std::string either_of(std::initializer_list<std::string_view> words) {
    std::string all;
    std::size_t left = words.size();
    for (const std::string_view word : words) {
      all += word;
      if (--left > 0) all += left == 1 ? " or " : ", ";
    }
    return all;
  }

  const io::GgufReader& file_;
  std::string architecture_;
};

}  // namespace lora::models
