#pragma once

#include "lora/core/matrix.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// Fills `matrix` with numbers uniform on (-k, k). Element i takes the numbers of `random` at
/// (step, i).
template <class T>
void uniform(MatrixRef<T> matrix, const Random& random, double k, std::uint64_t step = 0) {
  for (Index i = 0; i < matrix.rows(); ++i)
    for (Index j = 0; j < matrix.cols(); ++j) {
      const auto element = static_cast<std::uint64_t>(i * matrix.cols() + j);
      matrix(i, j) = static_cast<T>(k * (2 * random.uniform(step, element) - 1));
    }
}

}  // namespace lora
