#pragma once

#include "lora/text/added_tokens.hpp"
#include "lora/text/json_fields.hpp"

namespace lora::text {

/// Reads an added token without its id. `normalized` counts where the file does not say. Throws
/// FileError.
[[nodiscard]] inline AddedToken read_added_token(const JsonFields& json, bool normalized) {
  AddedToken token{.content = json.string("content"),
                   .single_word = json.boolean("single_word").value_or(false),
                   .lstrip = json.boolean("lstrip").value_or(false),
                   .rstrip = json.boolean("rstrip").value_or(false),
                   .normalized = json.boolean("normalized").value_or(normalized),
                   .special = json.boolean("special").value_or(false)};
  if (token.content.empty()) json.fail("a token is empty");
  return token;
}

}  // namespace lora::text
