#pragma once

#include <lora/core/matrix.hpp>
#include <lora/random/random.hpp>

namespace lora::test {

/// Returns a (rows, cols) matrix of numbers uniform on (-1, 1), a function of the seed.
template <class T>
[[nodiscard]] Matrix<T> random_matrix(Index rows, Index cols, std::uint64_t seed) {
  const Random random(seed);
  Matrix<T> matrix(rows, cols);
  for (Index i = 0; i < matrix.size(); ++i)
    matrix.data()[i] = static_cast<T>(2 * random.uniform(0, static_cast<std::uint64_t>(i)) - 1);
  return matrix;
}

}  // namespace lora::test
