#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <utility>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/io/json.hpp"

namespace lora::text {

/// A view of a JSON object of a file, whose fields are read by name and kind. Every error is a
/// FileError that begins with the file and the object's place in it.
class JsonFields {
 public:
  /// Views `json`, which has to outlive it; `where` names the file and the place. Throws unless
  /// `json` is an object.
  JsonFields(const io::Json& json, std::string where) : json_(&json), where_(std::move(where)) {
    if (!json.is_object()) fail("is not a JSON object");
  }

  /// Returns the file and the place.
  [[nodiscard]] const std::string& where() const { return where_; }
  /// Returns the object itself.
  [[nodiscard]] const io::Json& json() const { return *json_; }

  /// Throws FileError "where: what". Text of the file is to be printable in `what`.
  [[noreturn]] void fail(const std::string& what) const { throw FileError(where_ + ": " + what); }

  /// Returns the field, or nullptr if it is absent or null.
  [[nodiscard]] const io::Json* find(const std::string& key) const {
    const auto found = json_->find(key);
    return found == json_->end() || found->is_null() ? nullptr : &*found;
  }

  /// Returns the field. Throws if it is absent or null, as all do that follow, or of another kind.
  [[nodiscard]] const io::Json& at(const std::string& key) const {
    const auto* found = find(key);
    if (found == nullptr) fail("lacks " + printable(key));
    return *found;
  }

  /// Returns a field that is an object.
  [[nodiscard]] JsonFields object(const std::string& key) const {
    return {at(key), where_ + ", " + printable(key)};
  }

  /// Returns a field that is a list.
  [[nodiscard]] const io::Json& array(const std::string& key) const {
    const auto& value = at(key);
    if (!value.is_array()) fail(message(key, " is not a list"));
    return value;
  }

  /// Returns a field that is a string.
  [[nodiscard]] const std::string& string(const std::string& key) const {
    const auto& value = at(key);
    if (!value.is_string()) fail(message(key, " is not a string"));
    return value.get_ref<const std::string&>();
  }

  /// Returns the truth value of a field, `otherwise` if it is absent. Null is refused.
  [[nodiscard]] bool boolean_or(const std::string& key, bool otherwise) const {
    if (json_->contains(key) && find(key) == nullptr)
      fail(key + " is null, expected true or false");
    return boolean(key).value_or(otherwise);
  }

  /// Returns a truth value, or nothing if the field is absent or null.
  [[nodiscard]] std::optional<bool> boolean(const std::string& key) const {
    const auto* value = find(key);
    if (value == nullptr) return std::nullopt;
    if (!value->is_boolean())
      fail(message(key, " is ", io::excerpt(*value), ", expected true or false"));
    return value->get<bool>();
  }

  /// Returns a number from 0 to the largest int.
  [[nodiscard]] int number(const std::string& key) const { return number_from(at(key), key); }

  /// Does the same for a value that stands elsewhere in the object; `name` is for the message.
  [[nodiscard]] int number_from(const io::Json& value, const std::string& name) const {
    if (!value.is_number_unsigned() ||
        value.get<std::uint64_t>() > static_cast<std::uint64_t>(std::numeric_limits<int>::max()))
      fail(message(name, " is not an integer from 0 to ", std::numeric_limits<int>::max()));
    return value.get<int>();
  }

 private:
  const io::Json* json_;
  std::string where_;
};

}  // namespace lora::text
