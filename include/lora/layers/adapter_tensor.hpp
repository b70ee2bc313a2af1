#pragma once

#include <cstddef>
#include <limits>
#include <string>
#include <vector>

#include "lora/core/parameter.hpp"

namespace lora {

/// One tensor of an adapter, as its layer describes it to those who read and write files.
template <class T>
struct AdapterTensor {
  std::string suffix;             ///< behind the layer's name: ".lora_A.weight"
  std::vector<Index> shape;       ///< in a file, of any number of dimensions
  const Parameter<T>* parameter;  ///< has the elements, in the same order, as a matrix
};

/// The suffix of DoRA's magnitudes, as PEFT writes it; readers take one with ".weight" behind it
/// for the same.
inline constexpr const char* magnitude_suffix = ".lora_magnitude_vector";

/// The suffix of the bias that lora_bias gives to B.
inline constexpr const char* b_bias_suffix = ".lora_B.bias";

/// The rows and columns of the matrix that has a tensor's elements: (first, all others), or (1, n)
/// for a vector and (1, 1) for a scalar.
struct MatrixShape {
  explicit MatrixShape(const std::vector<Index>& shape) {
    if (shape.size() > 1) rows = shape.front();
    for (std::size_t i = shape.size() > 1 ? 1 : 0; i < shape.size(); ++i)
      // Of a tensor without elements a file may say anything.
      cols = shape[i] > 0 && cols > most / shape[i] ? most : cols * shape[i];
  }

  Index rows = 1;
  Index cols = 1;

 private:
  static constexpr Index most = std::numeric_limits<Index>::max();
};

}  // namespace lora
