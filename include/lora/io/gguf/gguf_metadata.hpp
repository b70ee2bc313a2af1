#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/io/gguf/gguf_value.hpp"

namespace lora::io {

/// The metadata of a GGUF file, read by key and type. Every error is a FileError that begins with
/// the file's name.
class GgufMetadata {
 public:
  /// Makes metadata without keys; `where` begins every message.
  explicit GgufMetadata(std::string where) : where_(std::move(where)) {}

  /// Adds a value. Returns false, and changes nothing, if the key is there.
  bool insert(const std::string& key, GgufValue value) {
    return values_.emplace(key, std::move(value)).second;
  }

  [[nodiscard]] const std::map<std::string, GgufValue, std::less<>>& values() const {
    return values_;
  }
  [[nodiscard]] bool has(const std::string& key) const { return values_.contains(key); }

  [[noreturn]] void fail(const std::string& what) const { throw FileError(where_ + ": " + what); }

  /// Returns the text of that key. Throws FileError if it is missing or no text.
  [[nodiscard]] std::string_view text(const std::string& key) const {
    return get<std::string_view>(key, "a text");
  }

  /// Returns the truth of that key, `otherwise` if it is missing. Throws FileError for another
  /// type.
  [[nodiscard]] bool flag(const std::string& key, bool otherwise) const {
    return has(key) ? get<bool>(key, "a truth value") : otherwise;
  }

  /// Returns the whole number of that key. Throws FileError if it is missing, no whole number, or
  /// outside of [least, most].
  [[nodiscard]] std::int64_t integer(const std::string& key, std::int64_t least,
                                     std::int64_t most) const {
    const GgufValue& value = find(key);
    std::optional<std::int64_t> number;
    if (const auto* as_signed = std::get_if<std::int64_t>(&value)) number = *as_signed;
    if (const auto* as_unsigned = std::get_if<std::uint64_t>(&value))
      if (*as_unsigned <= static_cast<std::uint64_t>(most))
        number = static_cast<std::int64_t>(*as_unsigned);
    if (!number || *number < least || *number > most)
      fail(message("the value of ", in_quotes(key), " is not a whole number in [", least, ", ",
                   most, "]"));
    return *number;
  }

  /// Returns the number of that key. Throws FileError if it is missing or not of type f32 or f64.
  [[nodiscard]] double number(const std::string& key) const {
    return get<double>(key, "a number of type f32 or f64");
  }

  /// Returns the texts of that key. Throws FileError if it is missing or no list of texts.
  [[nodiscard]] const std::vector<std::string_view>& texts(const std::string& key) const {
    const auto& list = get<GgufList>(key, "a list of texts");
    if (list.type != GgufValueType::text) wrong_type(key, "a list of texts");
    return list.texts;
  }

  /// Returns the numbers of that key. Throws FileError if it is missing or no list of numbers.
  [[nodiscard]] const std::vector<double>& numbers(const std::string& key) const {
    const auto& list = get<GgufList>(key, "a list of numbers");
    if (list.type == GgufValueType::text) wrong_type(key, "a list of numbers");
    return list.numbers;
  }

  /// Returns general.alignment, 32 if it is missing. Throws FileError unless it is an u32 that is a
  /// power of two.
  [[nodiscard]] std::uint64_t alignment() const {
    if (!has("general.alignment")) return 32;
    const auto* value = std::get_if<std::uint64_t>(&find("general.alignment"));
    if (value == nullptr || *value == 0 || *value > 1U << 30 || (*value & (*value - 1)) != 0)
      fail("general.alignment is not a power of two of type u32");
    return *value;
  }

 private:
  [[nodiscard]] const GgufValue& find(const std::string& key) const {
    const auto found = values_.find(key);
    if (found == values_.end()) fail("has no key " + in_quotes(key));
    return found->second;
  }

  [[noreturn]] void wrong_type(const std::string& key, const char* expected) const {
    fail(message("the value of ", in_quotes(key), " is of another type, expected ", expected));
  }

  template <class V>
  [[nodiscard]] const V& get(const std::string& key, const char* expected) const {
    const V* value = std::get_if<V>(&find(key));
    if (value == nullptr) wrong_type(key, expected);
    return *value;
  }

  std::string where_;
  std::map<std::string, GgufValue, std::less<>> values_;
};

}  // namespace lora::io
