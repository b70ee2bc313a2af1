#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/io/dtype.hpp"

namespace lora::io {

/// The sizes of a tensor's dimensions; empty for a scalar.
using Shape = std::vector<Index>;

/// Returns "(2, 3)" for messages.
[[nodiscard]] inline std::string shape_text(const Shape& shape) {
  std::string text = "(";
  for (const Index size : shape) {
    if (text.size() > 1) text += ", ";
    text += std::to_string(size);
  }
  return text + (shape.size() == 1 ? ",)" : ")");
}

/// A view of a tensor of a mapped file; the file must outlive it.
struct TensorView {
  DType dtype = DType::F32;
  Shape shape;
  std::span<const std::byte> bytes;  ///< as in the file, which aligns nothing

  /// Returns the elements in place, as a MappedWeight borrows them, or null if they are of another
  /// type than T (float or double) or not aligned for it.
  template <class T>
  [[nodiscard]] const T* data_as() const {
    const auto address = reinterpret_cast<std::uintptr_t>(bytes.data());
    if (dtype != dtype_of<T> || address % alignof(T) != 0) return nullptr;
    return reinterpret_cast<const T*>(bytes.data());
  }
};

}  // namespace lora::io
