#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>

#include "lora/io/convert.hpp"
#include "lora/io/tensor_view.hpp"

namespace lora::io {

/// Tells whether two tensors of one shape have the same numbers, the second rounded to the type of
/// the first where they differ in type. Numbers of types that are not floating are compared by
/// their bytes. Takes no memory.
[[nodiscard]] inline bool same_numbers(const TensorView& stored, const TensorView& original) {
  if (stored.shape != original.shape) return false;
  if (stored.dtype == original.dtype)
    return std::equal(stored.bytes.begin(), stored.bytes.end(), original.bytes.begin(),
                      original.bytes.end());
  if (!is_floating(stored.dtype) || !is_floating(original.dtype)) return false;
  bool same = true;
  with_floating_type(stored.dtype, "", [&](auto left) {
    with_floating_type(original.dtype, "", [&](auto right) {
      const std::size_t count = stored.bytes.size() / sizeof(left);
      for (std::size_t i = 0; i < count && same; ++i) {
        std::memcpy(static_cast<void*>(&left), &stored.bytes[i * sizeof(left)], sizeof(left));
        std::memcpy(static_cast<void*>(&right), &original.bytes[i * sizeof(right)], sizeof(right));
        const auto rounded = convert_number<decltype(left)>(right);
        same = std::memcmp(static_cast<const void*>(&left), static_cast<const void*>(&rounded),
                           sizeof(left)) == 0;
      }
    });
  });
  return same;
}

}  // namespace lora::io
