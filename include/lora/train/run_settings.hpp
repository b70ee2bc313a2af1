#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/finite.hpp"
#include "lora/io/json.hpp"

namespace lora::train {

/// What makes a run the run that it is: named settings, in the order in which they were added
/// (rank, alpha, dropout, a fingerprint of the data ...). Saved in its checkpoints and compared as
/// a whole when it is resumed, so that no run goes on as half another one.
class RunSettings {
 public:
  /// Adds a setting: a number, a bool, text, or a vector of these. Throws ConfigError for a name
  /// that was added before and for a number that is not finite.
  RunSettings& add(const std::string& name, const io::Json& value) {
    if (find(name) != nullptr) throw ConfigError("RunSettings: \"" + name + "\" was added before");
    require_finite(name, value);
    // As it will come back from a file; a path need not be UTF-8.
    settings_.emplace_back(name, io::Json::parse(text_of(value)));
    return *this;
  }

  /// Adds the settings of `others`.
  RunSettings& add(const RunSettings& others) {
    for (const auto& [name, value] : others.settings_) add(name, value);
    return *this;
  }

  [[nodiscard]] bool empty() const { return settings_.empty(); }

  /// Returns them as text for a file.
  [[nodiscard]] std::string text() const {
    io::Json list = io::Json::array();
    for (const auto& [name, value] : settings_) list.push_back(io::Json::array({name, value}));
    return text_of(list);
  }

  /// Reads what text() wrote. Throws FileError, beginning with `where`.
  [[nodiscard]] static RunSettings parse(std::string_view text, const std::string& where) {
    RunSettings settings;
    const io::Json list = io::parse_json(text, where);
    const auto is_setting = [](const io::Json& each) {
      return each.is_array() && each.size() == 2 && each[0].is_string();
    };
    if (!list.is_array()) throw FileError(where + ": the run's settings are no list");
    for (const io::Json& each : list) {
      if (!is_setting(each))
        throw FileError(where + ": expected a setting [name, value], not " + io::excerpt(each));
      settings.settings_.emplace_back(each[0].get<std::string>(), each[1]);
    }
    return settings;
  }

  /// Throws ConfigError, beginning with `where`, unless `saved` has the same settings. The message
  /// names the first of these that differs, and then one that `saved` alone has.
  void require_same(const RunSettings& saved, const std::string& where) const {
    for (const auto& [name, value] : settings_) {
      const io::Json* other = saved.find(name);
      if (other == nullptr)
        throw ConfigError(message(where, ": is of a run without ", name, ", expected this one's ",
                                  io::excerpt(value)));
      if (text_of(*other) != text_of(value))
        throw ConfigError(message(where, ": is of a run with ", name, " = ", io::excerpt(*other),
                                  ", expected this one's ", io::excerpt(value)));
    }
    for (const auto& [name, value] : saved.settings_)
      if (find(name) == nullptr)
        throw ConfigError(message(where, ": is of a run with ", io::excerpt(io::Json(name)), " = ",
                                  io::excerpt(value), ", which this one does not have"));
  }

 private:
  // Of all numbers in it: in a file they would be null, and as good as any other.
  static void require_finite(const std::string& name, const io::Json& value) {
    if (value.is_number_float() && !is_finite(value.get<double>()))
      throw ConfigError(message("RunSettings: ", name, " is ", value.get<double>(),
                                ", expected a finite number"));
    if (value.is_structured())
      for (const io::Json& each : value) require_finite(name, each);
  }

  [[nodiscard]] static std::string text_of(const io::Json& value) {
    return value.dump(-1, ' ', true, io::Json::error_handler_t::replace);
  }

  [[nodiscard]] const io::Json* find(std::string_view name) const {
    for (const auto& [known, value] : settings_)
      if (known == name) return &value;
    return nullptr;
  }

  std::vector<std::pair<std::string, io::Json>> settings_;
};

}  // namespace lora::train
