#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/core/rounded.hpp"

namespace lora::images {

/// The ways in which Pillow makes pixels of an image of another size. The numbers are those of
/// preprocessor_config.json.
enum class Resampling : std::uint8_t {
  nearest = 0,
  lanczos = 1,
  bilinear = 2,
  bicubic = 3,
  box = 4,
  hamming = 5,
};

namespace detail {

inline double sinc(double x) {
  if (x == 0) return 1;
  x *= std::numbers::pi;
  return std::sin(x) / x;
}

/// Returns how far from its middle a filter reaches, in pixels of the smaller image.
inline double filter_support(Resampling how) {
  switch (how) {
    case Resampling::box:
      return 0.5;
    case Resampling::bicubic:
      return 2;
    case Resampling::lanczos:
      return 3;
    default:
      return 1;
  }
}

/// Returns a filter's weight at x, as Pillow's Resample.c does when compiled for baseline x86-64,
/// which has no fused multiply-add: every product is rounded.
inline double filter_weight(Resampling how, double x) {
  if (how == Resampling::box) return x > -0.5 && x <= 0.5 ? 1 : 0;
  if (how == Resampling::lanczos) return x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0;
  x = std::abs(x);
  if (how == Resampling::bicubic) {
    constexpr double a = -0.5;
    if (x < 1) return rounded((rounded((a + 2) * x) - (a + 3)) * x * x) + 1;
    return x < 2 ? (rounded((rounded((x - 5) * x) + 8) * x) - 4) * a : 0;
  }
  if (how == Resampling::bilinear) return x < 1 ? 1 - x : 0;
  if (x == 0) return 1;  // hamming
  if (x >= 1) return 0;
  x *= std::numbers::pi;
  return std::sin(x) / x * (0.54 + rounded(0.46 * std::cos(x)));
}

/// The pixels of a line that one pixel of the result is made of, and their weights as whole
/// numbers, of which 1 << precision is one.
struct LineWeights {
  static constexpr int precision = 22;
  Index first = 0;
  std::vector<std::int32_t> weights;
};

/// Returns those of the pixels `begin` to `begin` + `count` of a line of `out` pixels made of one
/// of `in`.
inline std::vector<LineWeights> line_weights(Resampling how, Index in, Index out, Index begin,
                                             Index count) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  // An image that shrinks is averaged over all that a pixel stands for.
  const double stretch = std::max(scale, 1.0);
  const double support = rounded(filter_support(how) * stretch);
  std::vector<LineWeights> line(static_cast<std::size_t>(count));
  std::vector<double> exact;
  for (Index i = begin; i < begin + count; ++i) {
    const double centre = rounded((static_cast<double>(i) + 0.5) * scale);
    const Index first = std::max<Index>(0, static_cast<Index>(std::floor(centre - support + 0.5)));
    const Index last = std::min(in, static_cast<Index>(std::floor(centre + support + 0.5)));
    exact.clear();
    double sum = 0;
    for (Index j = first; j < last; ++j) {
      exact.push_back(filter_weight(how, (static_cast<double>(j) - centre + 0.5) * (1 / stretch)));
      sum += exact.back();
    }
    LineWeights& to = line[static_cast<std::size_t>(i - begin)];
    to.first = first;
    for (const double weight : exact) {
      const double whole = (sum != 0 ? weight / sum : weight) * (1 << LineWeights::precision);
      to.weights.push_back(static_cast<std::int32_t>(weight < 0 ? whole - 0.5 : whole + 0.5));
    }
  }
  return line;
}

}  // namespace detail
}  // namespace lora::images
