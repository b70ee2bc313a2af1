#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/io/json_value.hpp"

namespace lora::io {

/// What is accepted of a JSON text that nobody has vouched for.
struct JsonRules {
  std::size_t depth = 32;  ///< objects and arrays inside each other
  bool repeated_keys =
      false;                ///< the last of two equal keys of an object counts; or they are refused
  bool not_finite = false;  ///< NaN, Infinity and -Infinity are numbers
};

/// What Python's json module accepts, for the settings that Python reads and people edit: every
/// config.json and adapter_config.json, a tokenizer's settings. What programs write for programs
/// (tensors' headers and indices, tokenizer.json, checkpoints) has equal keys only where something
/// is wrong.
inline constexpr JsonRules python_json{.repeated_keys = true, .not_finite = true};

/// A function that is told every key in the order of the text, with the depth of its object: 1 for
/// the outermost.
using JsonKeyObserver = std::function<void(std::size_t depth, const std::string& key)>;

namespace detail {

// Numbers that stand in a text for NaN and Infinity while the parser, which knows no such words,
// reads it. They are spelled as nobody spells zero, so that no other number is taken for them.
inline constexpr std::string_view nan_spelling = "0.00e-0000999";
inline constexpr std::string_view infinity_spelling = "0.00e-0000998";

/// A builder of a value from the events of nlohmann's parser, each in constant time but for finding
/// a key in its object; the parser's own callbacks look at all of an array for each of its
/// elements.
class JsonBuilder {
 public:
  using number_integer_t = Json::number_integer_t;
  using number_unsigned_t = Json::number_unsigned_t;
  using number_float_t = Json::number_float_t;
  using string_t = Json::string_t;
  using binary_t = Json::binary_t;

  JsonBuilder(const std::string& where, const JsonRules& rules, const JsonKeyObserver& on_key)
      : where_(where), rules_(rules), on_key_(on_key) {}

  [[nodiscard]] Json take() { return std::move(root_); }

  bool null() { return add(nullptr); }
  bool boolean(bool value) { return add(value); }
  bool number_integer(number_integer_t value) { return add(value); }
  bool number_unsigned(number_unsigned_t value) { return add(value); }
  bool number_float(number_float_t value, const string_t& spelling) {
    const bool negative = spelling.starts_with('-');
    const std::string_view digits = std::string_view(spelling).substr(negative ? 1 : 0);
    if (rules_.not_finite && digits == nan_spelling) {
      if (negative) throw FileError(where_ + ": not valid JSON: -NaN");
      value = std::numeric_limits<double>::quiet_NaN();
    }
    if (rules_.not_finite && digits == infinity_spelling)
      value = std::numeric_limits<double>::infinity() * (negative ? -1 : 1);
    return add(value);
  }
  bool string(string_t& value) { return add(std::move(value)); }
  bool binary(binary_t& value) { return add(Json::binary(std::move(value))); }

  bool start_object(std::size_t) { return open(Json::object()); }
  bool end_object() { return close(); }
  bool start_array(std::size_t) { return open(Json::array()); }
  bool end_array() { return close(); }

  bool key(string_t& name) {
    const auto [member, is_new] = open_.back()->emplace(name, nullptr);
    if (!is_new && !rules_.repeated_keys)
      throw FileError(
          message(where_, ": the key ", in_quotes(name), " stands twice in one object"));
    member_ = &*member;
    if (on_key_) on_key_(open_.size(), name);
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const Json::exception& error) {
    // The message repeats the word at which reading ended, however long that is.
    throw FileError(message(where_, ": not valid JSON: ", printable(error.what(), 300)));
  }

 private:
  // Puts a value where the next one belongs and returns its place, which holds as long as the
  // object or array around it is open.
  template <class Value>
  Json* place(Value&& value) {
    if (open_.empty()) return &(root_ = Json(std::forward<Value>(value)));
    if (open_.back()->is_object()) return &(*member_ = Json(std::forward<Value>(value)));
    return &open_.back()->emplace_back(std::forward<Value>(value));
  }

  template <class Value>
  bool add(Value&& value) {
    place(std::forward<Value>(value));
    return true;
  }

  bool open(Json value) {
    if (open_.size() == rules_.depth)
      throw FileError(message(where_, ": JSON nested deeper than ", rules_.depth, " levels"));
    open_.push_back(place(std::move(value)));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  const std::string& where_;
  const JsonRules& rules_;
  const JsonKeyObserver& on_key_;
  Json root_;
  std::vector<Json*> open_;
  Json* member_ = nullptr;  // of the innermost object, where its next value belongs
};

/// Returns the text with numbers in the place of NaN and Infinity, which JSON has not.
[[nodiscard]] inline std::string with_finite_spellings(std::string_view text) {
  std::string result;
  bool in_string = false;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::string_view rest = text.substr(at);
    if (in_string && rest.front() == '\\' && rest.size() > 1) {
      result += rest.substr(0, 2);
      ++at;
      continue;
    }
    if (rest.front() == '"') in_string = !in_string;
    const std::string_view word = in_string                      ? ""
                                  : rest.starts_with("NaN")      ? "NaN"
                                  : rest.starts_with("Infinity") ? "Infinity"
                                                                 : "";
    if (word.empty()) {
      result += rest.front();
      continue;
    }
    result += word == "NaN" ? nan_spelling : infinity_spelling;
    at += word.size() - 1;
  }
  return result;
}

}  // namespace detail
}  // namespace lora::io
