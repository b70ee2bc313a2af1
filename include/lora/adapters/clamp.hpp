#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "lora/adapters/factor_pair.hpp"

namespace lora {

/// Moves the elements of A and B that lie outside of [-h, h] to its ends: svd_clamp of PEFT's
/// add_weighted_adapter. h is the `quantile`, in (0, 1], of all elements of both together,
/// interpolated as NumPy does. Throws ConfigError for a quantile out of range, and for a negative
/// h, which would make all elements one number.
template <class T>
void clamp_to_quantile(FactorPair<T>& factors, double quantile) {
  if (!(quantile > 0 && quantile <= 1))
    throw ConfigError(message("clamp_to_quantile: quantile is ", quantile,
                              ", expected more than 0 and at most 1"));
  std::vector<T> sorted(factors.b.data(), factors.b.data() + factors.b.size());
  sorted.insert(sorted.end(), factors.a.data(), factors.a.data() + factors.a.size());
  if (sorted.empty()) return;
  const double place = quantile * static_cast<double>(sorted.size() - 1);
  const auto below = sorted.begin() + static_cast<std::ptrdiff_t>(place);
  std::nth_element(sorted.begin(), below, sorted.end());
  const double low = static_cast<double>(*below), share = place - std::floor(place);
  const double next =
      share > 0 ? static_cast<double>(*std::min_element(below + 1, sorted.end())) : low;
  const auto limit = static_cast<T>(low + share * (next - low));
  if (limit < 0)
    throw ConfigError(message("clamp_to_quantile: the quantile ", quantile, " of the factors is ",
                              limit, ", expected one that is not negative: use a larger quantile"));
  factors.a = factors.a.cwiseMin(limit).cwiseMax(-limit);
  factors.b = factors.b.cwiseMin(limit).cwiseMax(-limit);
}

}  // namespace lora
