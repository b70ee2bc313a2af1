#pragma once

#include <cstddef>

namespace lora::text {

/// A range of bytes of a text: from begin to before end.
struct Span {
  std::size_t begin = 0;
  std::size_t end = 0;

  friend bool operator==(const Span&, const Span&) = default;
};

}  // namespace lora::text
