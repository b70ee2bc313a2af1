#pragma once

#include <algorithm>
#include <cstddef>
#include <tuple>

#include "lora/core/error.hpp"
#include "lora/text/encoding.hpp"
#include "lora/text/token_template.hpp"
#include "lora/text/truncation.hpp"

namespace lora::text {

/// The settings with which a text is encoded.
struct EncodeOptions {
  std::size_t max_length = 0;      ///< the most tokens, with the model's own; 0 for no limit
  bool add_special_tokens = true;  ///< puts the model's own tokens around the text
  bool parse_special = false;  ///< byte-level BPE: a text that spells a special token has its id
};

/// Puts the model's own tokens around one text, or two where `second` is no nullptr; the longer one
/// is truncated first. Throws ConfigError if max_length is too small for the model's own tokens.
[[nodiscard]] inline Encoding assemble(const TokenTemplate& templates, const Encoding& first,
                                       const Encoding* second, const EncodeOptions& options) {
  const auto& parts = second != nullptr ? templates.pair : templates.single;
  std::size_t first_length = first.size();
  std::size_t second_length = second != nullptr ? second->size() : 0;
  if (options.max_length > 0) {
    const std::size_t own = options.add_special_tokens ? TokenTemplate::own_tokens(parts) : 0;
    if (options.max_length < own)
      throw ConfigError(message("encode: max_length is ", options.max_length,
                                ", expected at least ", own, ", the model's own tokens"));
    std::tie(first_length, second_length) =
        truncate_longest_first(first_length, second_length, options.max_length - own);
  }
  Encoding result;
  for (const TemplatePart& part : parts) {
    if (part.kind == TemplatePart::Kind::token) {
      if (options.add_special_tokens) result.push_back(part.id, part.type_id, -1, {});
      continue;
    }
    const bool is_first = part.kind == TemplatePart::Kind::first_text;
    const Encoding& from = is_first ? first : *second;
    for (std::size_t i = 0; i < (is_first ? first_length : second_length); ++i)
      result.push_back(from.ids[i], part.type_id, from.words[i], from.offsets[i]);
  }
  return result;
}

}  // namespace lora::text
