#pragma once

#include <array>
#include <cmath>
#include <numbers>
#include <type_traits>

#include "lora/core/packets.hpp"

namespace lora {

/// The distribution of a standard normal variable at the elements of a packet x.
template <class T>
struct NormalCdf {
  Packet<T> cdf;      ///< Phi(x) = (1 + erf(x / sqrt(2))) / 2
  Packet<T> density;  ///< phi(x) = exp(-x^2 / 2) / sqrt(2 pi)
};

/// Computes Phi and phi together, which share their exponential.
///
/// In float, with z = |x| and t = 1 / (1 + 11/32 z): Phi(-z) = t P(t) exp(-z^2 / 2), where P is of
/// degree 8, fitted for this library to 2e-8 relative on z in [0, 13] (the form of Hastings'
/// approximations, Abramowitz and Stegun 7.1.26). Phi is then within 2e-7 of the truth, and within
/// 2e-6 relative in the lower tail, where 1 + erf has lost all digits. In double: std::erfc.
template <class T>
[[nodiscard]] NormalCdf<T> normal_cdf(const Packet<T>& x) {
  namespace ei = Eigen::internal;
  if constexpr (std::is_same_v<T, float>) {
    const auto constant = [](float value) { return ei::pset1<Packet<T>>(value); };
    const Packet<T> z = ei::pabs(x);
    const Packet<T> t = ei::pdiv(constant(1), ei::pmadd(constant(0.34375F), z, constant(1)));
    const Packet<T> e = packets::exp<T>(ei::pmul(ei::pmul(x, x), constant(-0.5F)));
    Packet<T> p = constant(-0.028243647F);
    for (const float coefficient : {0.145844811F, -0.275596168F, 0.19508448F, -0.0419914287F,
                                    0.113720017F, 0.116489357F, 0.137574635F, 0.137117935F})
      p = ei::pmadd(p, t, constant(coefficient));
    const Packet<T> tail = ei::pmul(ei::pmul(p, t), e);
    const Packet<T> negative = ei::pcmp_lt(x, constant(0));
    return {
        ei::pselect(negative, tail, ei::psub(constant(1), tail)),
        ei::pmul(e, constant(std::numbers::inv_sqrtpi_v<float> / std::numbers::sqrt2_v<float>))};
  } else {
    std::array<T, static_cast<std::size_t>(Simd<T>::width)> values, cdf, density;
    ei::pstoreu(values.data(), x);
    for (std::size_t i = 0; i < values.size(); ++i) {
      cdf[i] = std::erfc(-values[i] / std::numbers::sqrt2_v<T>) / 2;
      density[i] = std::exp(-values[i] * values[i] / 2) * std::numbers::inv_sqrtpi_v<T> /
                   std::numbers::sqrt2_v<T>;
    }
    return {ei::ploadu<Packet<T>>(cdf.data()), ei::ploadu<Packet<T>>(density.data())};
  }
}

}  // namespace lora
