#pragma once

#include <algorithm>
#include <cstddef>
#include <span>

#include "lora/core/error.hpp"
#include "lora/core/matrix.hpp"
#include "lora/text/encoding.hpp"

namespace lora::text {

/// Encodings of one length, one a row: B texts of L tokens.
struct TokenBatch {
  Matrix<int> ids;             // (B, L)
  Matrix<int> type_ids;        // (B, L)
  Matrix<int> attention_mask;  // (B, L): 1 for tokens, 0 for padding
};

/// The length to which texts are padded, and what they are padded with.
struct Padding {
  int pad_id = 0;
  int pad_type_id = 0;
  Index length = 0;       ///< the least length; 0 stands for the longest text's
  Index multiple_of = 1;  ///< the length is rounded up to a multiple of this
};

/// Pads encodings at their ends to one length: that of the longest, or `length` if that is more,
/// rounded up. Throws ConfigError for a negative length or a multiple below 1.
[[nodiscard]] inline TokenBatch pad(std::span<const Encoding> encodings, const Padding& padding) {
  if (padding.length < 0 || padding.multiple_of < 1)
    throw ConfigError(message("pad: length is ", padding.length, " and multiple_of ",
                              padding.multiple_of, ", expected at least 0 and at least 1"));
  Index length = padding.length;
  for (const Encoding& encoding : encodings)
    length = std::max(length, static_cast<Index>(encoding.size()));
  if (const Index over = length % padding.multiple_of; over != 0)
    length += padding.multiple_of - over;

  const auto rows = static_cast<Index>(encodings.size());
  TokenBatch batch{Matrix<int>::Constant(rows, length, padding.pad_id),
                   Matrix<int>::Constant(rows, length, padding.pad_type_id),
                   Matrix<int>::Zero(rows, length)};
  for (Index row = 0; row < rows; ++row) {
    const Encoding& encoding = encodings[static_cast<std::size_t>(row)];
    const auto size = static_cast<Index>(encoding.size());
    std::copy(encoding.ids.begin(), encoding.ids.end(), batch.ids.row(row).data());
    std::copy(encoding.type_ids.begin(), encoding.type_ids.end(), batch.type_ids.row(row).data());
    batch.attention_mask.row(row).head(size).setOnes();
  }
  return batch;
}

}  // namespace lora::text
