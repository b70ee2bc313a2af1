#pragma once

#include "lora/core/matrix.hpp"

namespace lora::kernels {

/// A hint at the memory that a later panel will be made from: pieces of `size` scalars, `stride`
/// scalars apart. While a tile computes, it asks for one cache line at each step of its depth, and
/// goes on to the next piece after `steps` of them. Nothing is asked for where `data` is null, and
/// no result depends on what is.
template <class T>
struct Ahead {
  static constexpr auto line = static_cast<Index>(64 / sizeof(T));  ///< scalars

  const T* data = nullptr;
  Index steps = 1;
  Index stride = 0;
  Index size = 0;

  /// Returns what tile number `tile` of those that read the present panel should ask for: the lines
  /// of each piece from tile * steps on.
  [[nodiscard]] Ahead share(Index tile) const {
    const Index begin = tile * steps * line;
    return data == nullptr || begin >= size ? Ahead{} : Ahead{data + begin, steps, stride, size};
  }
};

}  // namespace lora::kernels
