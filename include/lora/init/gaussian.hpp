#pragma once

#include "lora/core/matrix.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// Fills `matrix` with normal numbers of mean 0 and standard deviation `std_dev`. Element i takes
/// the numbers of `random` at (step, i).
template <class T>
void gaussian(MatrixRef<T> matrix, const Random& random, double std_dev, std::uint64_t step = 0) {
  for (Index i = 0; i < matrix.rows(); ++i)
    for (Index j = 0; j < matrix.cols(); ++j) {
      const auto element = static_cast<std::uint64_t>(i * matrix.cols() + j);
      matrix(i, j) = static_cast<T>(std_dev * random.normal(step, element));
    }
}

}  // namespace lora
