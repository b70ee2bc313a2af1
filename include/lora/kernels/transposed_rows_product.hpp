#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/tile_shape.hpp"
#include "lora/kernels/transpose_packets.hpp"

namespace lora::kernels {

namespace detail {

/// How dx is computed: as many of its numbers at a time as a packet has, some inputs of at most
/// `most` rows. A packet of partial sums for each of them stays in a register.
template <class T>
struct TransposedRows {
  static constexpr Index most = Simd<T>::width < 8 ? Simd<T>::width : 8;
  // Outputs whose dy stays in the first-level cache for a few rows.
  static constexpr Index block = 8 * TileShape<T>::columns;
};

// Adds to sums[n * Inputs + j], lane by lane, a panel's outputs, `Vectors` packets of them, of row
// n of dy times input j; dy's next packet of a row lies `step` further.
template <class T, Index Vectors, Index Inputs, Index Rows, class Stored, class Load>
EIGEN_ALWAYS_INLINE void add_panel_rows(const T* dy, Index step, const Stored* panel,
                                        const Load& load, Packet<T>* sums) {
  namespace ei = Eigen::internal;
  constexpr Index width = Simd<T>::width, stride = Vectors * width;
  unroll<Vectors>([&](Index v) __attribute__((always_inline)) {
    Packet<T> factors[Rows];
    unroll<Rows>([&](Index n) __attribute__((always_inline)) {
      factors[n] = ei::ploadu<Packet<T>>(dy + v * step + n * width);
    });
    unroll<Inputs>([&](Index j) __attribute__((always_inline)) {
      const Packet<T> w = load(panel + j * stride + v * width);
      unroll<Rows>([&](Index n) __attribute__((always_inline)) {
        sums[n * Inputs + j] = ei::pmadd(factors[n], w, sums[n * Inputs + j]);
      });
    });
  });
}

/// A product dx += dy W of a few rows: W in panels; dy packet by packet, a packet of each row after
/// another, so that what is read together lies together, whatever the sizes.
template <class T, class Stored, class Load>
struct TransposedOperands {
  const T* dy;
  Index rows;  // padded
  Index inputs;
  const Stored* panels;
  const Load& load;
};

// Adds dy W of the outputs [first, last), which begin with a whole panel, to Rows rows of dx and
// Inputs inputs from `input` on.
template <class T, Index Inputs, Index Rows, class Stored, class Load>
void add_transposed_square(const TransposedOperands<T, Stored, Load>& from, Index row, Index input,
                           Index first, Index last, MatrixRef<T>& dx) {
  namespace ei = Eigen::internal;
  constexpr Index width = Simd<T>::width, columns = TileShape<T>::columns, count = Rows * Inputs;
  constexpr auto line = static_cast<Index>(64 / sizeof(Stored));
  Packet<T> sums[count];
  unroll<count>([&](Index i)
                    __attribute__((always_inline)) { sums[i] = ei::pset1<Packet<T>>(T(0)); });
  const Index step = from.rows * width;
  const auto dy_at = [&](Index output) { return from.dy + output * from.rows + row * width; };
  const Index whole = first + (last - first) / columns * columns;
  for (; first < whole; first += columns) {
    const Stored* const panel = from.panels + first * from.inputs + input * columns;
    // The next piece: every panel is a stream of its own, too short for the processor to see.
    if constexpr (Rows > 1)
      unroll<(Inputs * columns + line - 1) / line>([&](Index i) __attribute__((always_inline)) {
        __builtin_prefetch(panel + Inputs * columns + i * line);
      });
    add_panel_rows<T, TileShape<T>::vectors, Inputs, Rows>(dy_at(first), step, panel, from.load,
                                                           sums);
  }
  const Stored* const end = from.panels + first * from.inputs;
  if (last - first > width)
    add_panel_rows<T, 2, Inputs, Rows>(dy_at(first), step, end + input * 2 * width, from.load,
                                       sums);
  else if (last > first)
    add_panel_rows<T, 1, Inputs, Rows>(dy_at(first), step, end + input * width, from.load, sums);
  if constexpr (count == width && width > 1) {
    transpose_packets<count>(sums);
    Packet<T> sum = sums[0];
    unroll<count - 1>([&](Index j)
                          __attribute__((always_inline)) { sum = ei::padd(sum, sums[j + 1]); });
    std::array<T, static_cast<std::size_t>(width)> out;
    ei::pstoreu(out.data(), sum);
    for (Index n = 0; n < std::min(Rows, dx.rows() - row); ++n)
      for (Index j = 0; j < Inputs; ++j)
        dx(row + n, input + j) += out[static_cast<std::size_t>(n * Inputs + j)];
  } else {
    static_assert(Rows == 1);
    for (Index j = 0; j < Inputs; ++j) dx(row, input + j) += ei::predux(sums[j]);
  }
}

// Does the same for `Rows` rows and `inputs` inputs from `input` on, at most a packet of them.
template <class T, Index Rows, class Stored, class Load>
void add_transposed_piece(const TransposedOperands<T, Stored, Load>& from, Index row, Index input,
                          Index inputs, Index first, Index last, MatrixRef<T>& dx) {
  constexpr Index together = Simd<T>::width / Rows;
  Index i = input;
  for (; i + together <= input + inputs; i += together)
    add_transposed_square<T, together, Rows>(from, row, i, first, last, dx);
  for (; i < input + inputs; ++i)
    for (Index n = row; n < std::min(row + Rows, dx.rows()); ++n)
      add_transposed_square<T, 1, 1>(from, n, i, first, last, dx);
}

// The same for as many rows as are left, at most `most`; returns how many those were.
template <class T, class Stored, class Load>
Index add_transposed_rows(const TransposedOperands<T, Stored, Load>& from, Index row, Index input,
                          Index inputs, Index first, Index last, MatrixRef<T>& dx) {
  constexpr Index most = TransposedRows<T>::most;
  const Index left = dx.rows() - row;
  if constexpr (most >= 8)
    if (left > 4) return add_transposed_piece<T, 8>(from, row, input, inputs, first, last, dx), 8;
  if constexpr (most >= 4)
    if (left > 2) return add_transposed_piece<T, 4>(from, row, input, inputs, first, last, dx), 4;
  if constexpr (most >= 2)
    if (left > 1) return add_transposed_piece<T, 2>(from, row, input, inputs, first, last, dx), 2;
  return add_transposed_piece<T, 1>(from, row, input, inputs, first, last, dx), 1;
}

}  // namespace detail

/// Rows up to which add_transposed_rows_product is faster than panels that are transposed once for
/// all rows.
inline constexpr Index few_transposed_rows = 16;

/// Adds dy W to dx for a few rows: dy (N, outputs), dx (N, inputs), W (outputs, inputs) in panels
/// of whole vectors, [panel][input][output] as PackedPanels has it, of which load(address) returns
/// a packet of T. W is read once, in the order in which it lies; no panel is transposed: its
/// outputs lie in the lanes, and only their sums change places. The same bits for any number of
/// threads.
template <class T, class Stored, class Load>
void add_transposed_rows_product(ConstMatrixRef<T> dy, Index inputs, const Stored* panels,
                                 const Load& load, MatrixRef<T> dx) {
  constexpr Index width = Simd<T>::width, part = 4 * width;
  static_assert(TileShape<T>::vectors == 3);
  const Index rows = dy.rows(), outputs = dy.cols(), padded = round_up(outputs, width);
  // Rows that do not exist are computed as zeros with the others of their square.
  const Index padded_rows = rows == 1 ? 1 : round_up(rows, detail::TransposedRows<T>::most);
  Scratch scratch;
  T* const left = scratch.take<T>(padded_rows * padded);
  std::fill_n(left, padded_rows * padded, T(0));
  for (Index n = 0; n < rows; ++n)
    for (Index o = 0; o < outputs; o += width)
      std::copy_n(dy.data() + n * dy.outerStride() + o, std::min(width, outputs - o),
                  left + o * padded_rows + n * width);
  const detail::TransposedOperands<T, Stored, Load> from{left, padded_rows, inputs, panels, load};
  const Index tasks = (inputs + part - 1) / part;
  // A number is read in about the time of so many multiply-adds.
  const double work = 8 * static_cast<double>(outputs) * static_cast<double>(inputs);
  const Index block = rows == 1 ? padded : detail::TransposedRows<T>::block;
  parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
    const Index begin = task * part, end = std::min(begin + part, inputs);
    for (Index first = 0; first < padded; first += block)
      for (Index i = begin; i < end; i += width)
        for (Index row = 0; row < rows;)
          row += detail::add_transposed_rows<T>(from, row, i, std::min(width, end - i), first,
                                                std::min(first + block, padded), dx);
  });
}

}  // namespace lora::kernels
