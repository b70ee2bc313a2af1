#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/io/json.hpp"
#include "lora/io/mapped_file.hpp"
#include "lora/nn/activation.hpp"

namespace lora::models {

/// The largest config.json that is read, in bytes; id2label of many classes takes the most.
inline constexpr std::size_t config_limit = 8'000'000;

/// The most labels: a new head is made for them before anything else speaks for their number.
inline constexpr Index label_limit = 100'000;

/// The fields of a Hugging Face config.json, read by name and range. null stands for an absent key,
/// as in Python; the last of equal keys counts, and NaN is a number. Every error is a FileError
/// that begins with the file's name.
class ConfigFields {
 public:
  /// Parses `text`; `where` begins every message. Throws FileError for what is not a JSON object.
  ConfigFields(std::string_view text, std::string where)
      : where_(std::move(where)), json_(parse(text, where_)) {}

  /// Returns the fields of the object that the value of `key`, which is there, has to be.
  [[nodiscard]] ConfigFields object(const char* key) const {
    if (!json_[key].is_object()) unexpected(key, "an object");
    ConfigFields fields;
    fields.where_ = message(where_, ": ", key);
    fields.json_ = json_[key];
    return fields;
  }

  [[nodiscard]] bool has(const char* key) const {
    return json_.contains(key) && !json_[key].is_null();
  }

  /// Tells whether the key is there, with null too.
  [[nodiscard]] bool mentions(const char* key) const { return json_.contains(key); }

  /// Tells whether the key is there with the value null.
  [[nodiscard]] bool is_null(const char* key) const {
    return json_.contains(key) && json_[key].is_null();
  }

  /// Returns the value of a key that is there.
  [[nodiscard]] const io::Json& operator[](const char* key) const { return json_[key]; }

  [[noreturn]] void fail(const std::string& what) const { throw FileError(where_ + ": " + what); }

  /// Throws that the value of `key`, which is there, is not what was expected.
  [[noreturn]] void unexpected(const char* key, const std::string& expected) const {
    fail(message(key, " is ", io::excerpt(json_[key]), ", expected ", expected));
  }

  /// Sets `value` to the integer in [least, most] of that key, if it is there.
  void read_size(const char* key, Index& value, Index least, Index most) const {
    if (!has(key)) return;
    const io::Json& json = json_[key];
    // A number above the signed range is an unsigned one, which is out of range as well.
    const bool fits = json.is_number_integer() &&
                      !(json.is_number_unsigned() &&
                        json.get<std::uint64_t>() > static_cast<std::uint64_t>(most)) &&
                      json.get<std::int64_t>() >= least && json.get<std::int64_t>() <= most;
    if (!fits) unexpected(key, message("an integer in [", least, ", ", most, "]"));
    value = json.get<Index>();
  }

  /// Sets `value` to the number of that key, if it is there, as far as `accept` takes it; `range`
  /// says in words what that is.
  template <class Accept>
  void read_number(const char* key, double& value, const Accept& accept, const char* range) const {
    if (!has(key)) return;
    const io::Json& json = json_[key];
    if (!json.is_number() || !is_finite(json.get<double>()) || !accept(json.get<double>()))
      unexpected(key, message("a number ", range));
    value = json.get<double>();
  }

  /// Sets `value` to the probability of dropout of that key, if it is there.
  void read_dropout(const char* key, double& value) const {
    read_number(
        key, value, [](double p) { return p >= 0 && p < 1; }, "in [0, 1)");
  }

  /// Sets `value` to the epsilon of a norm or the spread of start values, if the key is there: so
  /// small a number that float holds it too, neither zero nor infinite.
  void read_small(const char* key, double& value) const {
    read_number(
        key, value, [](double small) { return small >= 1e-30 && small <= 1; }, "in [1e-30, 1]");
  }

  /// Sets `value` to the boolean of that key, if it is there.
  void read_flag(const char* key, bool& value) const {
    if (!has(key)) return;
    if (!json_[key].is_boolean()) unexpected(key, "true or false");
    value = json_[key].get<bool>();
  }

  /// Returns the token of that key, which is below `vocab_size`; nothing for an absent one and -1.
  [[nodiscard]] std::optional<int> token(const char* key, Index vocab_size) const {
    Index id = -1;
    read_size(key, id, -1, vocab_size - 1);
    return id < 0 ? std::nullopt : std::optional(static_cast<int>(id));
  }

  /// Returns the token or the list of tokens of that key, which are below `vocab_size`.
  [[nodiscard]] std::vector<int> tokens(const char* key, Index vocab_size) const {
    std::vector<int> all;
    if (!has(key)) return all;
    if (!json_[key].is_array()) {
      if (const auto id = token(key, vocab_size)) all.push_back(*id);
      return all;
    }
    for (const io::Json& id : json_[key]) {
      if (!id.is_number_integer() || id.get<double>() < 0 ||
          id.get<double>() >= static_cast<double>(vocab_size))
        unexpected(key, "a token or a list of tokens");
      all.push_back(id.get<int>());
    }
    return all;
  }

  /// Sets `value` to the activation of that key, if it is there, by transformers' names.
  void read_activation(const char* key, Activation& value) const {
    if (!has(key)) return;
    std::string expected = "one of";
    for (const auto& [name, activation] : activations) {
      if (io::is_text(json_[key], name)) {
        value = activation;
        return;
      }
      expected += " " + std::string(name);
    }
    unexpected(key, expected);
  }

  /// Sets `value` to the number of labels, if the file says one: num_labels, or without that the
  /// names of id2label, as transformers does. label2id says none, there as here.
  void read_labels(Index& value) const {
    if (has("id2label")) {
      const io::Json& names = json_["id2label"];
      if (!names.is_object() || (names.empty() && !has("num_labels")))
        unexpected("id2label", "an object with a name for each label");
      if (names.size() > static_cast<std::size_t>(label_limit))
        unexpected("id2label", message("at most ", label_limit, " labels"));
      value = static_cast<Index>(names.size());
    }
    read_size("num_labels", value, 1, label_limit);
  }

 private:
  ConfigFields() = default;

  static constexpr std::array<std::pair<std::string_view, Activation>, 9> activations{
      {{"gelu", Activation::gelu},
       {"gelu_python", Activation::gelu},
       {"gelu_new", Activation::gelu_tanh},
       {"gelu_pytorch_tanh", Activation::gelu_tanh},
       {"gelu_fast", Activation::gelu_tanh},
       {"relu", Activation::relu},
       {"silu", Activation::silu},
       {"swish", Activation::silu},
       {"tanh", Activation::tanh}}};

  static io::Json parse(std::string_view text, const std::string& where) {
    if (text.size() > config_limit)
      throw FileError(message(where, ": has ", text.size(), " bytes, more than a config.json has"));
    io::Json json = io::parse_json(text, where, io::python_json);
    if (!json.is_object())
      throw FileError(message(where, ": is ", io::excerpt(json), ", expected a JSON object"));
    return json;
  }

  std::string where_;
  io::Json json_;
};

/// Reads directory/config.json, or another such file. Throws FileError.
[[nodiscard]] inline ConfigFields read_config_fields(
    const std::filesystem::path& directory, const std::filesystem::path& name = "config.json") {
  const io::MappedFile file(directory / name);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()),
                              file.bytes().size());
  return {text, file.path().string()};
}

}  // namespace lora::models
