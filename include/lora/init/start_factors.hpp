#pragma once

#include <cmath>
#include <utility>

#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/number_checks.hpp"
#include "lora/init/low_rank_factors.hpp"

namespace lora {

/// The factors that an adapter starts with.
template <class T>
struct StartFactors {
  Matrix<T> a;  ///< (rank, in)
  Matrix<T> b;  ///< (out, rank)
};

/// Throws ConfigError, naming `where`, unless s B A can be made equal to a matrix: the scaling s is
/// finite and not zero.
template <class Where>
void require_scaling(double scaling, const Where& where) {
  require_finite(scaling, where, "scaling");
  if (scaling == 0)
    throw ConfigError(message(where, ": scaling is 0, under which no factors add anything"));
}

namespace detail {

// Makes L and R the a and b of `start`: s B A = L R, both taking the root of s.
template <class T, class Start, class Where>
void take_factors(LowRankFactors<T> factors, double scaling, Start& start, const Where& where) {
  if (!is_finite(static_cast<T>(scaling)))
    throw ConfigError(message(where, ": scaling is ", scaling, ", too large for this scalar type"));
  const double root = std::sqrt(std::abs(scaling));
  start.b = std::move(factors.left);
  start.a = std::move(factors.right);
  start.b *= static_cast<T>(1 / root);
  start.a *= static_cast<T>(std::copysign(1 / root, scaling));
  if (!all_finite<T>(start.a) || !all_finite<T>(start.b))
    throw ConfigError(message(where, ": scaling is ", scaling, ", too small to divide by"));
}

}  // namespace detail
}  // namespace lora
