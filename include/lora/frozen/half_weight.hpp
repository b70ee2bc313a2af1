#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/shared_until_written.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/frozen/half_pairs.hpp"
#include "lora/frozen/half_panels.hpp"
#include "lora/kernels/amx_tiles.hpp"
#include "lora/kernels/panel_product.hpp"
#include "lora/kernels/row_product.hpp"
#include "lora/kernels/tiled_product.hpp"
#include "lora/kernels/transposed_rows_product.hpp"

namespace lora {

/// How products of a HalfWeight<float> in bfloat16 use matrix tiles, where the processor has them
/// (Intel's AMX). Tiles multiply bfloat16 alone and sum in float.
enum class TileUse {
  split,    ///< activations are sums of two bfloat16: relative error 2.5e-6 at a depth of 4096
  rounded,  ///< activations are rounded to bfloat16, half the work: relative error 1.7e-3
  none,     ///< no tiles: activations stay float, relative error 3.5e-7
};

/// Settings of a HalfWeight.
struct HalfOptions {
  TileUse tiles = TileUse::split;  ///< of no effect without tiles, and for double and float16
};

/// A frozen weight W (out_features, in_features) in numbers of 16 bits, bfloat16 unless `Format`
/// says otherwise, in the order in which the kernels read it: half the memory of float. Products
/// are those of T with W's numbers widened, which loses nothing: a product of one row, which is
/// bound by reading W, takes half the time of PackedWeight's, one of many rows nearly the same.
///
/// A W of more bits is rounded to the nearest number of the format, ties to even (of double by way
/// of float); one that came from a file in that format keeps its bits. Adapters are not merged into
/// it, which would round W + s B A: LoRALinear::merged_weight gives that. Memory is 2 * in * out
/// bytes, out rounded up to a whole vector.
///
/// Where the processor has matrix tiles, products of more than eight rows with a bfloat16 W of
/// float are made there, by default with activations in two parts, which is near to float;
/// HalfOptions says otherwise. Convolutions stay in float. `Tiles` is the processor's tiles;
/// EmulatedTiles shows their results on any machine.
template <class T, class Format = kernels::BFloat16Format, class Tiles = kernels::AmxTiles>
class HalfWeight {
 public:
  using Scalar = T;

  /// Packs a copy of `weight` (out, in), rounded. Throws ConfigError for a finite number beyond the
  /// format's largest.
  explicit HalfWeight(ConstMatrixRef<T> weight, HalfOptions options = {})
      : out_(weight.rows()),
        in_(weight.cols()),
        options_(options),
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
    if constexpr (may_have_tiles)
      if (x.rows() >= tiles_from(in_, out_))
        return kernels::add_tiled_product<Tiles>(x, HalfPairs<Format>{panels()}, parts(), y);
    if (x.rows() == 1) return add_row_product(x.data(), y.data());
    if (!panels().pays(x.rows()))
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
    if constexpr (may_have_tiles)
      if (dy.rows() >= tiles_from(out_, in_))
        return kernels::add_tiled_product<Tiles>(dy, TransposedHalfPairs<Format>{panels()}, parts(),
                                                 dx);
    if (!transposed_panels().pays(dy.rows()))
      return kernels::add_transposed_rows_product<T>(
          dy, in_, bits_->data(), [](const std::uint16_t* at) __attribute__((always_inline)) {
            return kernels::widen_packet<T, Format>(at);
          },
          dx);
    kernels::add_panel_product<T>(dy, transposed_panels(), T(1), dx);
  }

  /// Returns W^T (in, out) as the right side of products.
  [[nodiscard]] HalfPanels<T, Format> panels() const {
    return {places(), bits_->data(), tiles_from(in_, out_)};
  }

  /// Returns W (out, in) as the right side of products.
  [[nodiscard]] TransposedHalfPanels<T, Format> transposed_panels() const {
    return {panels(), tiles_from(out_, in_)};
  }

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
  static constexpr bool may_have_tiles =
      std::is_same_v<T, float> && std::is_same_v<Format, kernels::BFloat16Format> && Tiles::built;

  // The rows from which a product of this depth and so many columns is made on tiles.
  [[nodiscard]] Index tiles_from(Index depth, Index columns) const {
    if constexpr (may_have_tiles)
      if (options_.tiles != TileUse::none && kernels::tiles_pay(depth, columns) &&
          Tiles::available())
        return kernels::tiled_rows;
    return std::numeric_limits<Index>::max();
  }

  [[nodiscard]] Index parts() const { return options_.tiles == TileUse::split ? 2 : 1; }

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
  HalfOptions options_;
  SharedUntilWritten<std::vector<std::uint16_t>> bits_;
};

}  // namespace lora
