#pragma once

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <variant>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/peft/name_pattern.hpp"
#include "lora/peft/pattern_list.hpp"
#include "lora/peft/peft_config.hpp"

namespace lora::peft {

/// Tells whether target_modules is the word that PEFT replaces by a model's linear modules:
/// "all-linear", in any case.
[[nodiscard]] inline bool is_all_linear(std::string_view target_modules) {
  constexpr std::string_view word = "all-linear";
  return std::equal(target_modules.begin(), target_modules.end(), word.begin(), word.end(),
                    [](char given, char lower) {
                      return (given >= 'A' && given <= 'Z' ? given - 'A' + 'a' : given) == lower;
                    });
}

namespace detail {

/// Returns the pattern of the module `entry` and all below it: re.match(r"(^|.*\.)ENTRY($|\..*)",
/// name), which need not reach the end of the name, should ENTRY hold a | outside of groups.
[[nodiscard]] inline std::string within_pattern(const std::string& entry) {
  return R"((?:(^|.*\.))" + entry + R"(($|\..*))[\s\S]*)";
}

/// A choice of names, as ModuleNames says: by one pattern that matches all of a name, or by PEFT's
/// rule for a list: the name itself, or a dot and the entry at its end.
class NameChooser {
 public:
  explicit NameChooser(const ModuleNames& names) {
    if (const auto* pattern = std::get_if<std::string>(&names)) {
      if (!pattern->empty()) pattern_.emplace(*pattern);
    } else if (const auto* list = std::get_if<std::vector<std::string>>(&names)) {
      entries_.insert(list->begin(), list->end());
      is_list_ = true;
    }
  }

  [[nodiscard]] bool is_list() const { return is_list_; }

  /// Tells whether a list has the name in full.
  [[nodiscard]] bool has(std::string_view name) const { return entries_.contains(name); }

  [[nodiscard]] bool matches(std::string_view name) const {
    if (pattern_) return pattern_->matches(name);
    if (entries_.empty()) return false;
    if (has(name)) return true;
    for (std::size_t dot = name.find('.'); dot != std::string_view::npos;
         dot = name.find('.', dot + 1))
      if (has(name.substr(dot + 1))) return true;
    return false;
  }

 private:
  std::optional<NamePattern> pattern_;
  std::set<std::string, std::less<>> entries_;
  bool is_list_ = false;
};

/// Returns the number that stands between `begin` and the next dot, or nothing.
[[nodiscard]] inline std::optional<Index> index_at(std::string_view name, std::size_t begin) {
  const std::size_t end = name.find('.', begin);
  if (end == std::string_view::npos || end == begin) return std::nullopt;
  Index index = 0;
  const auto [last, error] = std::from_chars(name.data() + begin, name.data() + end, index);
  const bool is_number = error == std::errc() && last == name.data() + end && name[begin] != '-';
  return is_number ? std::optional(index) : std::nullopt;
}

/// Returns the number of the layer that the module is in: the first number from the third part of
/// its name on; another part follows it.
[[nodiscard]] inline std::optional<Index> layer_index(std::string_view name) {
  std::optional<Index> index;
  std::size_t dot = name.find('.');
  while (!index && dot != std::string_view::npos && (dot = name.find('.', dot + 1)) < name.size())
    index = index_at(name, dot + 1);
  return index;
}

/// Returns the number that stands behind the first list of layers whose name `list` matches. Where
/// a list's name could end in several places, the last is taken, as greedy patterns do.
[[nodiscard]] inline std::optional<Index> layer_index(std::string_view name,
                                                      const NamePattern& list) {
  std::optional<Index> index;
  for (std::size_t begin = 0; !index && begin < name.size(); ++begin) {
    if (begin > 0 && name[begin - 1] != '.') continue;
    for (const std::size_t end : list.ends_from(name, begin))
      if (end < name.size() && name[end] == '.')
        if (const auto number = index_at(name, end + 1)) index = number;
  }
  return index;
}

}  // namespace detail

/// The rules by which a PeftConfig adapts modules or takes them out, by their names: PEFT's
/// check_target_module_exists, with the patterns translated once for all names.
class ModuleRules {
 public:
  /// Throws ConfigError for a pattern with an unknown construct, and for patterns that together are
  /// too long (PatternList).
  explicit ModuleRules(const PeftConfig& config)
      : targets_(config.target_modules),
        parameters_(config.target_parameters),
        excluded_(config.exclude_modules),
        layers_(config.layers_to_transform.begin(), config.layers_to_transform.end()) {
    for (const std::string& entry : config.modules_to_save)
      saved_.add(detail::within_pattern(entry));
    for (const std::string& list : config.layers_pattern) lists_.add(list);
  }

  /// Tells whether the module is taken out, whatever target_modules says: exclude_modules does, or
  /// it is one of modules_to_save or inside one.
  [[nodiscard]] bool is_excluded(std::string_view name) const {
    return excluded_.matches(name) || saved_.any_matches(name);
  }

  /// Tells whether the module is adapted: target_modules has it, or target_parameters its weight,
  /// for which exclude_modules and layers_to_transform do not count, as in PEFT.
  [[nodiscard]] bool is_targeted(std::string_view name) const {
    return is_targeted_module(name) ||
           (!parameters_.empty() &&
            is_targeted_parameter(parameters_, std::string(name) + ".weight"));
  }

  /// Tells whether target_modules has the module: it is not excluded, and the whole of a pattern
  /// matches it, or an entry of a list is the name or stands at its end behind a dot.
  /// layers_to_transform narrows the latter alone.
  [[nodiscard]] bool is_targeted_module(std::string_view name) const {
    return targets_.matches(name) && !is_excluded(name) &&
           (!targets_.is_list() || targets_.has(name) || is_in_chosen_layer(name));
  }

 private:
  [[nodiscard]] bool is_in_chosen_layer(std::string_view name) const {
    if (layers_.empty()) return true;
    std::optional<Index> index;
    if (lists_.empty()) index = detail::layer_index(name);
    for (const NamePattern& list : lists_)
      if (!index) index = detail::layer_index(name, list);
    return index && layers_.contains(*index);
  }

  detail::NameChooser targets_;
  std::vector<std::string> parameters_;
  detail::NameChooser excluded_;
  PatternList saved_;
  PatternList lists_;
  std::set<Index> layers_;
};

}  // namespace lora::peft
