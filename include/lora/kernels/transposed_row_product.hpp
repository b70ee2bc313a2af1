#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/tile_shape.hpp"
#include "lora/kernels/transpose_packets.hpp"

namespace lora::kernels {

namespace detail {

// Returns in each lane j the sum over a panel's outputs, `vectors` packets of them, of dy times row
// j of the panel, added to sums[j]: one packet for each row.
template <class T, Index Vectors, Index Rows, class Stored, class Load>
EIGEN_ALWAYS_INLINE void add_panel_rows(const T* dy, const Stored* panel, const Load& load,
                                        Packet<T>* sums) {
  namespace ei = Eigen::internal;
  constexpr Index width = Simd<T>::width, stride = Vectors * width;
  Packet<T> factors[Vectors];
  unroll<Vectors>([&](Index v) __attribute__((always_inline)) {
    factors[v] = ei::ploadu<Packet<T>>(dy + v * width);
  });
  unroll<Rows>([&](Index j) __attribute__((always_inline)) {
    unroll<Vectors>([&](Index v) __attribute__((always_inline)) {
      sums[j] = ei::pmadd(factors[v], load(panel + j * stride + v * width), sums[j]);
    });
  });
}

// dx[0 ... Rows - 1] += dy W for Rows inputs from `input` on.
template <class T, Index Rows, class Stored, class Load>
void add_transposed_rows(const T* dy, Index outputs, Index inputs, Index input,
                         const Stored* panels, const Load& load, T* dx) {
  namespace ei = Eigen::internal;
  constexpr Index width = Simd<T>::width, columns = TileShape<T>::columns;
  Packet<T> sums[Rows];
  unroll<Rows>([&](Index j)
                   __attribute__((always_inline)) { sums[j] = ei::pset1<Packet<T>>(T(0)); });
  Index first = 0;
  for (; first + columns <= outputs; first += columns)
    add_panel_rows<T, TileShape<T>::vectors, Rows>(
        dy + first, panels + first * inputs + input * columns, load, sums);
  const Stored* const last = panels + first * inputs;
  if (outputs - first > width)
    add_panel_rows<T, 2, Rows>(dy + first, last + input * 2 * width, load, sums);
  else if (outputs > first)
    add_panel_rows<T, 1, Rows>(dy + first, last + input * width, load, sums);
  if constexpr (Rows == width && width > 1) {
    transpose_packets<Rows>(sums);
    Packet<T> sum = sums[0];
    unroll<Rows - 1>([&](Index j)
                         __attribute__((always_inline)) { sum = ei::padd(sum, sums[j + 1]); });
    ei::pstoreu(dx, ei::padd(ei::ploadu<Packet<T>>(dx), sum));
  } else {
    for (Index j = 0; j < Rows; ++j) dx[j] += ei::predux(sums[j]);
  }
}

}  // namespace detail

/// Adds dy W to dx for one row: dy (outputs), dx (inputs), W (outputs, inputs) in panels of whole
/// vectors, [panel][input][output] as PackedPanels has it, of which load(address) returns a packet
/// of T. W is read once, in the order in which it lies; no panel is transposed. The same bits for
/// any number of threads.
template <class T, class Stored, class Load>
void add_transposed_row_product(const T* dy, Index outputs, Index inputs, const Stored* panels,
                                const Load& load, T* dx) {
  constexpr Index width = Simd<T>::width, part = 4 * width;
  static_assert(TileShape<T>::vectors == 3);
  const Index padded = round_up(outputs, width);
  Scratch scratch;
  T* const left = scratch.take<T>(padded);
  std::copy_n(dy, outputs, left);
  std::fill(left + outputs, left + padded, T(0));
  const Index tasks = (inputs + part - 1) / part;
  // A number is read in about the time of so many multiply-adds.
  const double work = 8 * static_cast<double>(outputs) * static_cast<double>(inputs);
  parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
    const Index end = std::min((task + 1) * part, inputs);
    Index i = task * part;
    for (; i + width <= end; i += width)
      detail::add_transposed_rows<T, width>(left, padded, inputs, i, panels, load, dx + i);
    for (; i < end; ++i)
      detail::add_transposed_rows<T, 1>(left, padded, inputs, i, panels, load, dx + i);
  });
}

}  // namespace lora::kernels
