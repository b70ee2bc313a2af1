#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/shared_until_written.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/frozen/half_panels.hpp"
#include "lora/kernels/panel_product.hpp"
#include "lora/kernels/row_product.hpp"
#include "lora/kernels/transposed_rows_product.hpp"

namespace lora {

/// A frozen weight W (out_features, in_features) in numbers of 16 bits, bfloat16 unless `Format`
/// says otherwise, in the order in which the kernels read it: half the memory of float. Products
/// are those of T with W's numbers widened, which loses nothing: a product of one row, which is
/// bound by reading W, takes half the time of PackedWeight's, one of many rows nearly the same.
///
/// A W of more bits is rounded to the nearest number of the format, ties to even (of double by way
/// of float); one that came from a file in that format keeps its bits. Adapters are not merged into
/// it, which would round W + s B A: LoRALinear::merged_weight gives that. Memory is 2 * in * out
/// bytes, out rounded up to a whole vector.
template <class T, class Format = kernels::BFloat16Format>
class HalfWeight {
 public:
  using Scalar = T;

  /// Packs a copy of `weight` (out, in), rounded. Throws ConfigError for a finite number beyond the
  /// format's largest.
  explicit HalfWeight(ConstMatrixRef<T> weight)
      : out_(weight.rows()),
        in_(weight.cols()),
        bits_(std::vector<std::uint16_t>(
            static_cast<std::size_t>(kernels::round_up(out_, Simd<T>::width) * in_))) {
    constexpr Index columns = PackedPanels<T>::columns;
    const Index count = (out_ + columns - 1) / columns;
    const double work = 16 * static_cast<double>(out_) * static_cast<double>(in_);
    std::uint16_t* const memory = bits_.own().data();
    parallel_for(count, threads_for(count, work), [&](Index panel) {
      const Index first = panel * columns, width = places().width_at(first);
      std::uint16_t* to = memory + first * in_;
      for (Index i = 0; i < in_; ++i)
        for (Index o = first; o < std::min(first + columns, out_); ++o)
          to[i * width + (o - first)] = narrow(weight(o, i), o, i);
    });
  }

  [[nodiscard]] Index out_features() const { return out_; }
  [[nodiscard]] Index in_features() const { return in_; }

  /// Adds x W^T to y: x (N, in), y (N, out).
  void add_product(ConstMatrixRef<T> x, MatrixRef<T> y) const {
    if (x.rows() == 0 || out_ == 0 || in_ == 0) return;
    if (x.rows() == 1) return add_row_product(x.data(), y.data());
    if (!HalfPanels<T, Format>::pays(x.rows()))
      return kernels::add_few_rows_product<T>(
          x, bits_->data(), [](const std::uint16_t* at) __attribute__((always_inline)) {
            return kernels::widen_packet<T, Format>(at);
          },
          y);
    kernels::add_panel_product<T>(x, panels(), T(1), y);
  }

  /// Adds dy W to dx: dy (N, out), dx (N, in).
  void add_transposed_product(ConstMatrixRef<T> dy, MatrixRef<T> dx) const {
    if (dy.rows() == 0 || out_ == 0 || in_ == 0) return;
    if (!TransposedHalfPanels<T, Format>::pays(dy.rows()))
      return kernels::add_transposed_rows_product<T>(
          dy, in_, bits_->data(), [](const std::uint16_t* at) __attribute__((always_inline)) {
            return kernels::widen_packet<T, Format>(at);
          },
          dx);
    kernels::add_panel_product<T>(dy, transposed_panels(), T(1), dx);
  }

  /// Returns W^T (in, out) as the right side of products.
  [[nodiscard]] HalfPanels<T, Format> panels() const { return {places(), bits_->data()}; }

  /// Returns W (out, in) as the right side of products.
  [[nodiscard]] TransposedHalfPanels<T, Format> transposed_panels() const { return {panels()}; }

  /// Copies row `output` of W to `to`, `in` numbers: an embedding that a head is tied to.
  void copy_row(Index output, T* to) const {
    for (Index i = 0; i < in_; ++i) to[i] = number(output, i);
  }

  /// Returns a row-major copy of W.
  [[nodiscard]] Matrix<T> dense() const {
    Matrix<T> weight(out_, in_);
    for (Index o = 0; o < out_; ++o) copy_row(o, weight.data() + o * in_);
    return weight;
  }

  /// Returns the bits of W(output, input).
  [[nodiscard]] std::uint16_t bits(Index output, Index input) const {
    return *panels().at(output, input);
  }

  /// Returns the bytes of the packed W.
  [[nodiscard]] std::size_t bytes() const { return bits_->size() * sizeof(std::uint16_t); }

 private:
  [[nodiscard]] PackedPanels<T> places() const { return {nullptr, out_, in_}; }

  static std::uint16_t narrow(T value, Index o, Index i) {
    const std::uint16_t bits = Format::narrow(static_cast<float>(value));
    if (is_finite(value) && !is_finite(Format::widen(bits)))
      throw ConfigError(message("HalfWeight: W(", o, ", ", i, ") = ", value, " does not fit ",
                                Format::name, ", whose largest number is ",
                                Format::widen(Format::largest)));
    return bits;
  }

  [[nodiscard]] T number(Index o, Index i) const {
    return static_cast<T>(Format::widen(bits(o, i)));
  }

  // y (out) += W x: bound by reading W, of which four panels are read side by side.
  void add_row_product(const T* x, T* y) const {
    constexpr Index columns = PackedPanels<T>::columns;
    constexpr Index group = kernels::row_product_panels * columns;
    const Index tasks = (out_ + group - 1) / group;
    // A number is read in about the time of so many multiply-adds.
    const double work = 4 * static_cast<double>(out_) * static_cast<double>(in_);
    parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
      const Index column = task * group;
      const Index count = std::min(group, out_ - column);
      if (count < group) return add_row_edge(x, column, y);
      std::array<const std::uint16_t*, kernels::row_product_panels> data;
      for (std::size_t p = 0; p < data.size(); ++p)
        data[p] = panels().at(column + static_cast<Index>(p) * columns, 0);
      std::array<T, static_cast<std::size_t>(group)> out;
      kernels::row_product<T, std::uint16_t>(
          x, in_, data, [](const std::uint16_t* at) __attribute__((always_inline)) {
            return kernels::widen_packet<T, Format>(at);
          },
          out.data());
      for (Index j = 0; j < group; ++j) y[column + j] += out[static_cast<std::size_t>(j)];
    });
  }

  // The same for what is right of the last four whole panels, a vector of outputs at a time.
  void add_row_edge(const T* x, Index column, T* y) const {
    namespace ei = Eigen::internal;
    constexpr Index vector = Simd<T>::width;
    for (; column < out_; column += vector) {
      const std::uint16_t* at = panels().at(column, 0);
      const Index step =
          places().width_at(column / PackedPanels<T>::columns * PackedPanels<T>::columns);
      auto sum = ei::pset1<Packet<T>>(T(0));
      for (Index i = 0; i < in_; ++i)
        sum = ei::pmadd(ei::pset1<Packet<T>>(x[i]), kernels::widen_packet<T, Format>(at + i * step),
                        sum);
      std::array<T, static_cast<std::size_t>(vector)> out;
      ei::pstoreu(out.data(), sum);
      const Index count = std::min(vector, out_ - column);
      for (Index j = 0; j < count; ++j) y[column + j] += out[static_cast<std::size_t>(j)];
    }
  }

  Index out_;
  Index in_;
  SharedUntilWritten<std::vector<std::uint16_t>> bits_;
};

}  // namespace lora
