#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "lora/core/error.hpp"

namespace lora::text {

/// The largest vocabulary or settings of a tokenizer that are read, in bytes: many times what
/// BERT's have, and little enough for the table that is made of it.
inline constexpr std::size_t tokenizer_limit = 32'000'000;

/// Throws FileError, beginning with `where`, for a tokenizer's file above the limit.
inline void require_tokenizer_size(std::string_view text, const std::string& where) {
  if (text.size() > tokenizer_limit)
    throw FileError(message(where, ": has ", text.size(), " bytes, more than a tokenizer has"));
}

}  // namespace lora::text
