#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/text/added_tokens.hpp"

namespace lora::text {

/// Adds to `added`, the added tokens of a WordPiece or BytePair model, the special tokens that it
/// lacks. As in transformers, each has the vocabulary's
/// id, or else the next free one. Throws FileError, beginning with `where`, for an added token that
/// stands twice, or whose id another one has.
template <class Model>
void add_special_tokens(const Model& model, const std::vector<AddedToken>& special,
                        const std::string& where, std::vector<AddedToken>& added) {
  std::map<std::string, int> ids;
  std::map<int, const std::string*> tokens;
  int next = model.largest_id() + 1;
  for (const AddedToken& token : added) {
    const auto fail = [&](const auto&... what) {
      throw FileError(message(where, ": the added token \"", printable(token.content),
                              "\" has the id ", token.id, what...));
    };
    const auto known = model.id_of(token.content);
    const std::string* other = known ? nullptr : model.token_of(token.id);
    if (known && *known != token.id) fail(", but the vocabulary says ", *known);
    if (other != nullptr) fail(", which is \"", printable(*other), "\" in the vocabulary");
    if (!ids.emplace(token.content, token.id).second) fail(" and stands twice");
    if (!tokens.emplace(token.id, &token.content).second) fail(", which another one has too");
    next = std::max(next, token.id + 1);
  }
  for (const AddedToken& token : special) {
    if (ids.contains(token.content)) continue;
    added.push_back(token);
    const auto known = model.id_of(token.content);
    added.back().id = known ? *known : next++;
    ids.emplace(token.content, added.back().id);
  }
}

}  // namespace lora::text
