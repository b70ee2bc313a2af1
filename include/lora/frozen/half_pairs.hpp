#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/frozen/half_panels.hpp"
#include "lora/kernels/tile_shape.hpp"
#include "lora/kernels/transpose_packets.hpp"

/// Tiles of pairs (kernels::PairSource) made from HalfPanels, one copy of W for both directions.
///
/// Neither direction finds its pairs in memory: panels have one input's numbers of neighbouring
/// outputs side by side, x W^T wants two inputs of one output together, and dy W two outputs,
/// input by input. The first takes an interleaving of two rows, the second a transposition of pairs
/// that are there. Both are made of a piece of W in the first-level cache, for all rows of x, and
/// cost as much as reading W. Tiles could read panels as they lie in dy W alone, as the left side,
/// but would leave dx transposed, and a panel's width is not a tile's.
namespace lora {

namespace detail {

inline constexpr Index pair_columns = 16, pair_depth = 32;
// Outputs after which memory is asked for ahead of a transposition, which halves its time.
inline constexpr Index pairs_ahead = 192;
// Where the numbers of a pair stand in 32 bits, of which the first comes first in memory.
inline constexpr int first_shift = std::endian::native == std::endian::little ? 0 : 16;
inline constexpr int second_shift = 16 - first_shift;

}  // namespace detail

/// A view of a packed W as the right side W^T (in, out) of a product on tiles.
template <class Format>
struct HalfPairs {
  HalfPanels<float, Format> panels;  ///< W as it lies

  /// Writes the inputs [input, input + 32) of the outputs [output, output + 16): row k has the
  /// inputs 2k and 2k + 1 of each output. Zeros stand for what W does not have.
  void pairs(Index input, Index output, std::uint16_t* to) const {
    constexpr Index width = Simd<float>::width, columns = detail::pair_columns;
    const Index depth = std::min(detail::pair_depth, panels.places.in - input);
    if (depth < detail::pair_depth || output + columns > panels.places.out)
      std::fill_n(to, columns * detail::pair_depth, std::uint16_t{0});
    for (Index o = output; o < std::min(output + columns, panels.places.out); o += width) {
      const std::uint16_t* from = panels.at(o, input);
      const Index step = panels.places.width_at_output(o);
      std::uint16_t* row = to + 2 * (o - output);
      for (Index i = 0; i + 2 <= depth; i += 2, from += 2 * step, row += 2 * columns) {
        // As numbers of 32 bits, of which compilers make vectors.
        std::array<std::uint32_t, static_cast<std::size_t>(width)> both;
        for (Index j = 0; j < width; ++j)
          both[static_cast<std::size_t>(j)] = std::uint32_t{from[j]} << detail::first_shift |
                                              std::uint32_t{from[step + j]} << detail::second_shift;
        std::memcpy(row, both.data(), sizeof(both));
      }
      if (depth % 2 != 0)
        for (Index j = 0; j < width; ++j) row[2 * j] = from[j];
    }
  }
};

/// A view of the same memory as the right side W (out, in).
template <class Format>
struct TransposedHalfPairs {
  HalfPanels<float, Format> panels;  ///< W as it lies

  /// Writes the outputs [output, output + 32) of the inputs [input, input + 16): row k has the
  /// outputs 2k and 2k + 1 of each input. Zeros stand for what W does not have.
  void pairs(Index output, Index input, std::uint16_t* to) const {
    constexpr Index width = Simd<float>::width, columns = detail::pair_columns;
    const Index inputs = std::min(columns, panels.places.in - input);
    const Index outputs = std::min(detail::pair_depth, panels.places.out - output);
    const bool whole = inputs == columns && outputs == detail::pair_depth;
    if (!whole) std::fill_n(to, columns * detail::pair_depth, std::uint16_t{0});
    for (Index o = 0; o < outputs; o += width) {
      const std::uint16_t* from = panels.at(output + o, input);
      const Index step = panels.places.width_at_output(output + o);
      // The next panels' pieces lie far from these.
      const Index later = std::min(output + o + detail::pairs_ahead, panels.places.out - 1);
      for (Index i = 0; i < inputs; ++i) __builtin_prefetch(panels.at(later, input + i));
      if constexpr (width >= 8)
        if (whole) {
          transpose<float>(from, step, to + o * columns);
          continue;
        }
      // The last vector of outputs ends with zeros, which do no harm.
      for (Index i = 0; i < inputs; ++i)
        for (Index j = 0; j < width; ++j)
          to[(o + j) / 2 * 2 * columns + 2 * i + (o + j) % 2] = from[i * step + j];
    }
  }

 private:
  // Transposes the pairs of one vector of outputs for 16 inputs, squares of half a vector each: as
  // floats, which are moved and never looked at.
  template <class T>
  static void transpose(const std::uint16_t* from, Index step, std::uint16_t* to) {
    namespace ei = Eigen::internal;
    using Pairs = typename ei::packet_traits<T>::half;
    constexpr Index size = Simd<T>::width / 2;
    for (Index i = 0; i < detail::pair_columns; i += size) {
      Pairs rows[size];
      kernels::unroll<size>([&](Index n) __attribute__((always_inline)) {
        rows[n] = ei::ploadu<Pairs>(reinterpret_cast<const T*>(from + (i + n) * step));
      });
      kernels::transpose_packets<size>(rows);
      kernels::unroll<size>([&](Index k) __attribute__((always_inline)) {
        ei::pstoreu(reinterpret_cast<T*>(to + 2 * (k * detail::pair_columns + i)), rows[k]);
      });
    }
  }
};

}  // namespace lora
