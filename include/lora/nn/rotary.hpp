#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>

#include "lora/core/elementwise.hpp"
#include "lora/core/output.hpp"
#include "lora/core/packets.hpp"
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
/// function of the same positions. Calls may come from several threads at once; a second call of
/// the same shapes allocates nothing.
///
/// Layers that turn the same tokens share cosines and sines: angles() computes them once.
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
    static_cast<void>(rotary_frequencies(config, head_features, 1));  // checks what there is to D
  }

  /// Computes m cos t and m sin t side by side, (N, D), for N positions, none negative. `length` is
  /// what dynamic scaling takes for the length of the text; one more than the largest position if
  /// left out, as in transformers. Throws ShapeError.
  void angles(std::span<const int> positions, std::optional<Index> length, Output<T> angles) const {
    compute_angles(positions, length, angles, "Rotary::angles");
  }

  /// Computes y for x, both (N, heads D), with the angles (N, D) of its rows. y may be x itself,
  /// but no other part of its memory. Throws ShapeError.
  void forward(ConstMatrixRef<T> x, ConstMatrixRef<T> angles, Output<T> y) const {
    turn(x, angles, y, T(1), "Rotary::forward", "x", "y");
  }

  /// Computes dx from dy, both (N, heads D), with the forward's angles. dx may be dy itself, but no
  /// other part of its memory. Throws ShapeError.
  void backward(ConstMatrixRef<T> dy, ConstMatrixRef<T> angles, Output<T> dx) const {
    turn(dy, angles, dx, T(-1), "Rotary::backward", "dy", "dx");
  }

  /// Computes y for x, both (N, heads D), at `positions`, one for each row and none negative. y may
  /// be x itself, but no other part of its memory. Throws ShapeError.
  void forward(ConstMatrixRef<T> x, std::span<const int> positions, Output<T> y) const {
    with_angles(x, positions, "Rotary::forward",
                [&](const MatrixRef<T>& angles) { forward(x, angles, y); });
  }

  /// Computes dx from dy, both (N, heads D), at the forward's positions. dx may be dy itself, but
  /// no other part of its memory. Throws ShapeError.
  void backward(ConstMatrixRef<T> dy, std::span<const int> positions, Output<T> dx) const {
    with_angles(dy, positions, "Rotary::backward",
                [&](const MatrixRef<T>& angles) { backward(dy, angles, dx); });
  }

  [[nodiscard]] Index head_features() const { return head_features_; }
  [[nodiscard]] const RotaryConfig& config() const { return config_; }

 private:
  void compute_angles(std::span<const int> positions, std::optional<Index> length, Output<T> angles,
                      const char* where) const {
    int largest = -1;
    for (std::size_t i = 0; i < positions.size(); ++i) {
      if (positions[i] < 0)
        throw ShapeError(
            message(where, ": position ", i, " is ", positions[i], ", expected at least 0"));
      largest = std::max(largest, positions[i]);
    }
    const auto rows = static_cast<Index>(positions.size());
    const Index half = head_features_ / 2;
    MatrixRef<T> out = angles.shaped(rows, head_features_, where, "angles");
    Scratch scratch;
    const std::span<double> frequencies(scratch.take<double>(half), static_cast<std::size_t>(half));
    rotary_frequencies(config_, head_features_, length.value_or(Index{largest} + 1), frequencies);
    const T magnitude = static_cast<T>(rotary_magnitude(config_));
    for_each_row(rows, half, 100, [&](Index row) {
      const T position = static_cast<T>(positions[static_cast<std::size_t>(row)]);
      T* to = out.data() + row * out.outerStride();
      for (Index i = 0; i < half; ++i) {
        const T angle = position * static_cast<T>(frequencies[static_cast<std::size_t>(i)]);
        to[i] = magnitude * std::cos(angle);
        to[half + i] = magnitude * std::sin(angle);
      }
    });
  }

  template <class Use>
  void with_angles(const ConstMatrixRef<T>& x, std::span<const int> positions, const char* where,
                   const Use& use) const {
    if (static_cast<Index>(positions.size()) != x.rows())
      throw ShapeError(message(where, ": ", positions.size(),
                               " positions, expected one for each of ", x.rows(), " rows"));
    Scratch scratch;
    const MatrixRef<T> memory = scratch.matrix<T>(x.rows(), head_features_);
    compute_angles(positions, std::nullopt, memory, where);
    use(memory);
  }

  void turn(ConstMatrixRef<T> x, ConstMatrixRef<T> angles, Output<T> y, T direction,
            const char* where, const char* input, const char* output) const {
    if (x.cols() % head_features_ != 0)
      throw ShapeError(message(where, ": ", input, " is ", shape_of(x),
                               ", expected (N, a multiple of head_features = ", head_features_,
                               ")"));
    require_shape(angles, x.rows(), head_features_, where, "angles", {}, "head_features");
    MatrixRef<T> out = y.shaped_elementwise(x.rows(), x.cols(), where, output, {x});
    const Index half = head_features_ / 2;
    namespace ei = Eigen::internal;
    const auto sign = ei::pset1<Packet<T>>(direction);
    for_each_row(x.rows(), x.cols(), 16, [&](Index row) {
      const T* const cosines = angles.data() + row * angles.outerStride();
      const T* const sines = cosines + half;
      for (Index head = 0; head < x.cols(); head += head_features_) {
        const T* in = x.data() + row * x.outerStride() + head;
        T* to = out.data() + row * out.outerStride() + head;
        Index i = 0;
        for (; i + Simd<T>::width <= half; i += Simd<T>::width) {
          const Packet<T> first = ei::ploadu<Packet<T>>(in + i);
          const Packet<T> second = ei::ploadu<Packet<T>>(in + half + i);
          const Packet<T> cosine = ei::ploadu<Packet<T>>(cosines + i);
          const Packet<T> sine = ei::pmul(sign, ei::ploadu<Packet<T>>(sines + i));
          ei::pstoreu(to + i, ei::psub(ei::pmul(first, cosine), ei::pmul(second, sine)));
          ei::pstoreu(to + half + i, ei::padd(ei::pmul(second, cosine), ei::pmul(first, sine)));
        }
        for (; i < half; ++i) {
          const T first = in[i], second = in[i + half];  // both before either is overwritten
          const T sine = direction * sines[i];
          to[i] = first * cosines[i] - second * sine;
          to[i + half] = second * cosines[i] + first * sine;
        }
      }
    });
  }

  Index head_features_;
  RotaryConfig config_;
};

}  // namespace lora
