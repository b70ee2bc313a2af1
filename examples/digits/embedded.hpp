#pragma once

#include <cstddef>
#include <string_view>

#include "data.hpp"
#include "embedded_digits.hpp"

namespace digits {

/// Returns the images that the program carries, in their published order.
[[nodiscard]] inline Samples embedded_samples() {
  const auto count = static_cast<Index>(embedded_digits.size());
  const auto value_of = [](char digit) { return digit <= '9' ? digit - '0' : digit - 'a' + 10; };
  Samples all{lora::Matrix<float>(count, 64), {}};
  for (Index i = 0; i < count; ++i) {
    const std::string_view text = embedded_digits[static_cast<std::size_t>(i)];
    all.labels.push_back(value_of(text[0]));
    for (Index j = 0; j < 64; ++j)
      all.images(i, j) = static_cast<float>(value_of(text[static_cast<std::size_t>(j + 1)])) / 16;
  }
  return all;
}

}  // namespace digits
