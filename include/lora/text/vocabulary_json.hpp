#pragma once

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/printable.hpp"
#include "lora/text/added_token_json.hpp"
#include "lora/text/json_fields.hpp"

namespace lora::text {

/// Throws FileError unless a component of a tokenizer.json has this type.
inline void require_type(const JsonFields& component, const std::string& type) {
  if (component.string("type") != type)
    component.fail("type is " + printable(component.string("type")) + ", of which only " + type +
                   " is known");
}

/// Reads the vocabulary of a tokenizer.json: tokens and their ids. Throws FileError for what is no
/// id, and for one that two tokens have.
[[nodiscard]] inline std::vector<std::pair<std::string, int>> read_vocabulary(
    const JsonFields& vocab) {
  std::vector<std::pair<std::string, int>> tokens;
  std::set<int> ids;
  tokens.reserve(vocab.json().size());
  for (const auto& [token, value] : vocab.json().items()) {
    const std::string name = "\"" + printable(token) + "\"";
    const int id = vocab.number_from(value, "the id of " + name);
    tokens.emplace_back(token, id);
    if (!ids.insert(id).second) vocab.fail(message(name, " and another token have the id ", id));
  }
  return tokens;
}

/// Reads the added_tokens of a tokenizer.json, if there are any. Throws FileError.
[[nodiscard]] inline std::vector<AddedToken> read_added_tokens(const JsonFields& root) {
  std::vector<AddedToken> tokens;
  if (root.find("added_tokens") == nullptr) return tokens;
  for (const auto& entry : root.array("added_tokens")) {
    const JsonFields json(entry, root.where() + ", added_tokens");
    tokens.push_back(read_added_token(json, false));
    tokens.back().id = json.number("id");
  }
  return tokens;
}

}  // namespace lora::text
