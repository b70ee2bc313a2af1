#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

#include "lora/core/elementwise.hpp"
#include "lora/core/output.hpp"
#include "lora/core/scratch.hpp"
#include "lora/nn/rotary_frequencies.hpp"

namespace lora {

/// Rotary positions (Su et al., "RoFormer", 2021), in the half-split form of transformers: for each
/// head of D features and each i < D / 2, a token at position p is turned by t = p f_i,
///
///     y_i = m (x_i cos t - x_{i + D/2} sin t),  y_{i + D/2} = m (x_{i + D/2} cos t + x_i sin t),
///
/// f and m as rotary_frequencies and rotary_magnitude give them. The angle is computed in T, as
/// transformers does. Nothing is learned and nothing is remembered: backward is the transposed
/// function of the same positions. Calls may come from several threads at once; they allocate what
/// the D / 2 frequencies need.
template <class T>
class Rotary {
 public:
  using Scalar = T;

  /// Throws ConfigError for settings out of range and for heads of an odd number of features.
  Rotary(Index head_features, const RotaryConfig& config)
      : head_features_(head_features), config_(config) {
    if (head_features < 2 || head_features % 2 != 0)
      throw ConfigError(message("Rotary: head_features is ", head_features,
                                ", expected an even number of at least 2"));
    validate(config, "Rotary");
  }

  /// Computes y for x, both (N, heads D), at `positions`, one for each row and none negative. y may
  /// be x itself, but no other part of its memory. Throws ShapeError.
  void forward(ConstMatrixRef<T> x, std::span<const int> positions, Output<T> y) const {
    turn(x, positions, y, T(1), "Rotary::forward", "x", "y");
  }

  /// Computes dx from dy, both (N, heads D), at the forward's positions. dx may be dy itself, but
  /// no other part of its memory. Throws ShapeError.
  void backward(ConstMatrixRef<T> dy, std::span<const int> positions, Output<T> dx) const {
    turn(dy, positions, dx, T(-1), "Rotary::backward", "dy", "dx");
  }

  [[nodiscard]] Index head_features() const { return head_features_; }
  [[nodiscard]] const RotaryConfig& config() const { return config_; }

 private:
  void turn(ConstMatrixRef<T> x, std::span<const int> positions, Output<T> y, T direction,
            const char* where, const char* input, const char* output) const {
    if (x.cols() % head_features_ != 0)
      throw ShapeError(message(where, ": ", input, " is ", shape_of(x),
                               ", expected (N, a multiple of head_features = ", head_features_,
                               ")"));
    if (static_cast<Index>(positions.size()) != x.rows())
      throw ShapeError(message(where, ": ", positions.size(),
                               " positions, expected one for each of ", x.rows(), " rows"));
    int largest = -1;
    for (std::size_t i = 0; i < positions.size(); ++i) {
      if (positions[i] < 0)
        throw ShapeError(
            message(where, ": position ", i, " is ", positions[i], ", expected at least 0"));
      largest = std::max(largest, positions[i]);
    }
    const std::vector<double> frequencies =
        rotary_frequencies(config_, head_features_, Index{largest} + 1);
    const T magnitude = static_cast<T>(rotary_magnitude(config_));
    MatrixRef<T> out = y.shaped_elementwise(x.rows(), x.cols(), where, output, {x});
    const Index half = head_features_ / 2;
    for_each_row(x.rows(), x.cols(), 32, [&](Index row) {
      Scratch scratch;
      T* cosines = scratch.take<T>(half);
      T* sines = scratch.take<T>(half);
      const T position = static_cast<T>(positions[static_cast<std::size_t>(row)]);
      for (Index i = 0; i < half; ++i) {
        const T angle = position * static_cast<T>(frequencies[static_cast<std::size_t>(i)]);
        cosines[i] = magnitude * std::cos(angle);
        sines[i] = direction * magnitude * std::sin(angle);
      }
      for (Index head = 0; head < x.cols(); head += head_features_) {
        const T* in = x.data() + row * x.outerStride() + head;
        T* to = out.data() + row * out.outerStride() + head;
        for (Index i = 0; i < half; ++i) {
          const T first = in[i], second = in[i + half];  // both before either is overwritten
          to[i] = first * cosines[i] - second * sines[i];
          to[i + half] = second * cosines[i] + first * sines[i];
        }
      }
    });
  }

  Index head_features_;
  RotaryConfig config_;
};

}  // namespace lora
