#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// Throws ConfigError, naming `where`, unless 0 < density <= 1.
template <class Where>
void require_density(double density, const Where& where) {
  if (!(density > 0 && density <= 1))
    throw ConfigError(message(where, ": density is ", density, ", expected 0 < density <= 1"));
}

/// Sets to zero all but the floor(density n) elements of `matrix` with the largest magnitude, the
/// first of those that are equal: TIES-merging's trimming (Yadav et al., 2023). 1 changes nothing.
/// Throws ConfigError unless 0 < density <= 1.
template <class T>
void prune_by_magnitude(Matrix<T>& matrix, double density) {
  require_density(density, "prune_by_magnitude");
  const auto kept = static_cast<std::ptrdiff_t>(density * static_cast<double>(matrix.size()));
  if (kept == matrix.size()) return;
  std::vector<Index> order(static_cast<std::size_t>(matrix.size()));
  std::iota(order.begin(), order.end(), Index{0});
  T* const values = matrix.data();
  std::nth_element(order.begin(), order.begin() + kept, order.end(), [&](Index i, Index j) {
    const T left = std::abs(values[i]), right = std::abs(values[j]);
    return left != right ? left > right : i < j;
  });
  std::for_each(order.begin() + kept, order.end(), [&](Index i) { values[i] = 0; });
}

/// Keeps each element of `matrix` with probability `density`, divided by it, and sets the others to
/// zero: DARE (Yu et al., 2023). What is expected of an element is then the element. Whether
/// element i stays is a function of `random`, `step` and i. 1 changes nothing. Throws ConfigError
/// unless 0 < density <= 1.
template <class T>
void prune_at_random(Matrix<T>& matrix, double density, const Random& random, std::uint64_t step) {
  require_density(density, "prune_at_random");
  if (density == 1) return;
  for (Index i = 0; i < matrix.size(); ++i) {
    T& value = matrix.data()[i];
    const bool stays = random.uniform(step, static_cast<std::uint64_t>(i)) < density;
    value = stays ? static_cast<T>(static_cast<double>(value) / density) : T(0);
  }
}

}  // namespace lora
