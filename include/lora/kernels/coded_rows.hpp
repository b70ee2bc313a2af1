#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/pack.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/run_vector.hpp"
#include "lora/kernels/tile_shape.hpp"

namespace lora::kernels {

/// A matrix W (rows, columns) in codes, row by row, that is decoded run by run:
///
///     run(row, r).vector(v)    the run_width floats from column r * run_length + v * run_width on
///
/// Columns are counted up to a whole run; those that W does not have are zeros. Kernels
/// take it by value: a few pointers and sizes, which then stay in registers.
template <class R>
concept CodedRows = requires(const R& rows, Index i) {
  { rows.rows() } -> std::convertible_to<Index>;
  { rows.columns() } -> std::convertible_to<Index>;
  { rows.run(i, i).vector(i) } -> std::convertible_to<RunVector>;
};

/// CodedRows that tell where the codes of a run begin, so that memory can be asked for them early.
template <class R>
concept PlacedRows = CodedRows<R> && requires(const R& rows, Index i) {
  { rows.address(i, i) } -> std::same_as<const std::uint8_t*>;
};

/// Returns the runs that `columns` columns take.
[[nodiscard]] constexpr Index runs_of(Index columns) {
  return columns / run_length + (columns % run_length != 0 ? 1 : 0);
}

/// Asks memory for runs `begin` to `end` of a row, where rows tell where that is.
template <CodedRows Rows>
EIGEN_ALWAYS_INLINE void ask_for_runs(Rows rows, Index row, Index begin, Index end) {
  if constexpr (PlacedRows<Rows>) {
    const std::uint8_t* const last = rows.address(row, end - 1);
    for (const std::uint8_t* at = rows.address(row, begin); at <= last; at += 64)
      __builtin_prefetch(at, 0, 2);
  }
}

/// Writes runs `begin` to `end` of a row of W to `out`.
template <class T, CodedRows Rows>
EIGEN_ALWAYS_INLINE void decode_runs(Rows rows, Index row, Index begin, Index end, T* out) {
  for (Index r = begin; r < end; ++r, out += run_length) {
    const auto run = rows.run(row, r);
    unroll<run_vectors>([&](Index v) __attribute__((always_inline)) {
      const RunVector numbers = run.vector(v);
      if constexpr (std::is_same_v<T, float>)
        store_run_vector(out + v * run_width, numbers);
      else
        for (int i = 0; i < run_width; ++i) out[v * run_width + i] = static_cast<T>(numbers[i]);
    });
  }
}

/// The panel of the right side W^T: rows of W are decoded some runs at a time and transposed.
template <class T, CodedRows Rows>
Panel<T> coded_panel(Rows rows, PanelRequest request, T* buffer) {
  // Two runs of every row of a panel lie in the first-level cache.
  constexpr Index part = 2 * run_length;
  const Index wide = round_up(request.columns, Simd<T>::width);
  Scratch scratch;
  T* const block = scratch.take<T>(request.columns * part);
  for (Index k = 0; k < request.depth; k += part) {
    const Index depth = std::min(part, request.depth - k);
    const Index begin = (request.depth_begin + k) / run_length, end = begin + runs_of(depth);
    for (Index j = 0; j < request.columns; ++j)
      decode_runs(rows, request.column + j, begin, end, block + j * part);
    pack_strips(Strips<T>{block, part, 1}, request.columns, wide, depth, buffer + k * wide);
  }
  return {buffer, wide};
}

/// The panel of the right side W, which is decoded where tiles read it.
template <class T, CodedRows Rows>
Panel<T> transposed_coded_panel(Rows rows, PanelRequest request, T* buffer) {
  const Index wide = round_up(request.columns, Simd<T>::width);
  const Index first = request.column / run_length, last = runs_of(request.column + wide);
  if constexpr (std::is_same_v<T, float> && Simd<T>::width == run_width) {
    const Index begin = request.depth_begin, depth = request.depth;
    for (Index r = first; r < last; ++r) {
      // The vectors of this run that the panel has: all of them, or some at its edges.
      const Index left = r * run_length - request.column;
      const Index from = std::max<Index>(0, -left / run_width);
      const Index to = std::min(run_vectors, (wide - left) / run_width);
      if (from == 0 && to == run_vectors) {
        for (Index k = 0; k < depth; ++k) {
          const auto run = rows.run(begin + k, r);
          unroll<run_vectors>([&](Index v) __attribute__((always_inline)) {
            store_run_vector(buffer + (k * wide + (left + v * run_width)), run.vector(v));
          });
        }
      } else {
        for (Index k = 0; k < depth; ++k) {
          const auto run = rows.run(begin + k, r);
          for (Index v = from; v < to; ++v)
            store_run_vector(buffer + (k * wide + (left + v * run_width)), run.vector(v));
        }
      }
    }
  } else {
    Scratch scratch;
    T* const row = scratch.take<T>((last - first) * run_length);
    for (Index k = 0; k < request.depth; ++k) {
      decode_runs(rows, request.depth_begin + k, first, last, row);
      std::copy_n(row + (request.column - first * run_length), wide, buffer + k * wide);
    }
  }
  return {buffer, wide};
}

/// Adds to y(o - first) the sum over k of x(k) W(o, k), for `first` <= o < `last` and the columns k
/// of runs `begin` to `end`: one row of x, which has whole runs, filled up with zeros.
template <CodedRows Rows>
void add_coded_dots(Rows rows, const float* x, Index first, Index last, Index begin, Index end,
                    float* y) {
  constexpr Index ahead = 4;  // rows
  for (Index o = first; o < last; ++o) {
    ask_for_runs(rows, std::min(o + ahead, rows.rows() - 1), begin, end);
    RunVector sums[run_vectors] = {};
    for (Index r = begin; r < end; ++r) {
      const auto run = rows.run(o, r);
      unroll<run_vectors>([&](Index v) __attribute__((always_inline)) {
        sums[v] += run.vector(v) * load_run_vector(x + r * run_length + v * run_width);
      });
    }
    RunVector sum = sums[0];
    unroll<run_vectors - 1>([&](Index v) __attribute__((always_inline)) { sum += sums[v + 1]; });
    y[o - first] += sum_of(sum);
  }
}

namespace detail {

// What add_coded_sums does, for outputs o to o + Streams - 1.
template <Index Streams, CodedRows Rows>
EIGEN_ALWAYS_INLINE void add_coded_sums_of(Rows rows, Index o, const float* dy, Index begin,
                                           Index end, float* dx) {
  RunVector factors[Streams];
  for (Index s = 0; s < Streams; ++s) factors[s] = run_vector(dy[o + s]);
  for (Index r = begin; r < end; ++r) {
    const auto streams = [&]<Index... s>(std::integer_sequence<Index, s...>)
        __attribute__((always_inline)) {
      return std::array{rows.run(o + s, r)...};
    }
    (std::make_integer_sequence<Index, Streams>());
    unroll<run_vectors>([&](Index v) __attribute__((always_inline)) {
      float* const at = dx + (r - begin) * run_length + v * run_width;
      RunVector sum = load_run_vector(at);
      unroll<Streams>([&](Index s) __attribute__((always_inline)) {
        sum += factors[s] * streams[static_cast<std::size_t>(s)].vector(v);
      });
      store_run_vector(at, sum);
    });
  }
}

}  // namespace detail

/// Adds to dx(k) the sum over o of dy(o) W(o, k), for the columns k of runs `begin` to `end`: one
/// row of dx, which begins at run `begin` and has whole runs, and stays in the first-level cache
/// meanwhile.
template <CodedRows Rows>
void add_coded_sums(Rows rows, const float* dy, Index begin, Index end, float* dx) {
  constexpr Index streams = 4;
  const Index outputs = rows.rows();
  Index o = 0;
  for (; o + streams <= outputs; o += streams) {
    for (Index s = 0; s < streams; ++s)
      ask_for_runs(rows, std::min(o + 2 * streams + s, outputs - 1), begin, end);
    detail::add_coded_sums_of<streams>(rows, o, dy, begin, end, dx);
  }
  for (; o < outputs; ++o) detail::add_coded_sums_of<1>(rows, o, dy, begin, end, dx);
}

}  // namespace lora::kernels
