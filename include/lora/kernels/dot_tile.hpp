#pragma once

#include <algorithm>
#include <array>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/kernels/pack.hpp"
#include "lora/kernels/tile_shape.hpp"
#include "lora/kernels/transpose_packets.hpp"

namespace lora::kernels {

/// The number of scalar products that `dot_tile` forms at a time, left * right: as many as a packet
/// has scalars, so that one transposition in registers sums the lanes of all of them.
template <class T>
struct DotShape {
  static constexpr bool has_packets = detail::FittingPacket<T, Simd<T>::width>::size > 1;
  static constexpr Index left = has_packets ? std::min<Index>(4, Simd<T>::width) : 1;
  static constexpr Index right = has_packets ? Simd<T>::width / left : 1;
};

namespace detail {

// Returns the sums of the lanes of Simd<T>::width packets, one in each lane.
template <class T>
[[nodiscard]] Packet<T> lane_sums(const Packet<T> (&sums)[DotShape<T>::left * DotShape<T>::right]) {
  namespace ei = Eigen::internal;
  if constexpr (DotShape<T>::has_packets) {
    constexpr Index width = Simd<T>::width;
    Packet<T> rows[width];
    unroll<width>([&](Index i) __attribute__((always_inline)) { rows[i] = sums[i]; });
    transpose_packets<width>(rows);
    unroll<width - 1>([&](Index i) __attribute__((always_inline)) {
      rows[0] = ei::padd(rows[0], rows[i + 1]);
    });
    return rows[0];
  } else {
    return sums[0];
  }
}

}  // namespace detail

/// Computes results[i * Columns + j] = sum over k < depth of left[i][k] right[j][k] for rows that
/// lie element by element in memory. The bits of a sum are the same in tiles of every shape, which
/// is at most as large as DotShape's.
template <class T, std::size_t Rows, std::size_t Columns>
void dot_tile(const std::array<const T*, Rows>& left, const std::array<const T*, Columns>& right,
              Index depth, std::array<T, DotShape<T>::left * DotShape<T>::right>& results) {
  namespace ei = Eigen::internal;
  constexpr Index width = Simd<T>::width;
  constexpr Index rows = Rows, columns = Columns;
  static_assert(rows * columns <= DotShape<T>::left * DotShape<T>::right);
  const Index whole = DotShape<T>::has_packets ? depth / width * width : 0;
  if constexpr (DotShape<T>::has_packets) {
    Packet<T> sums[DotShape<T>::left * DotShape<T>::right];
    unroll<DotShape<T>::left * DotShape<T>::right>([&](Index i) __attribute__((always_inline)) {
      sums[i] = ei::pset1<Packet<T>>(T(0));
    });
    for (Index k = 0; k < whole; k += width) {
      Packet<T> l[rows];
      unroll<rows>([&](Index i) __attribute__((always_inline)) {
        l[i] = ei::ploadu<Packet<T>>(left[static_cast<std::size_t>(i)] + k);
      });
      unroll<columns>([&](Index j) __attribute__((always_inline)) {
        const auto r = ei::ploadu<Packet<T>>(right[static_cast<std::size_t>(j)] + k);
        unroll<rows>([&](Index i) __attribute__((always_inline)) {
          sums[i * columns + j] = ei::pmadd(l[i], r, sums[i * columns + j]);
        });
      });
    }
    ei::pstoreu(results.data(), detail::lane_sums<T>(sums));
  } else {
    results.fill(T(0));
  }
  for (Index k = whole; k < depth; ++k)
    for (Index i = 0; i < rows; ++i)
      for (Index j = 0; j < columns; ++j)
        results[static_cast<std::size_t>(i * columns + j)] +=
            left[static_cast<std::size_t>(i)][k] * right[static_cast<std::size_t>(j)][k];
}

/// The result of add_dot_products: c(n, r) lies at data[n * row_stride + r * column_stride].
template <class T>
struct DotTarget {
  T* data;
  Index row_stride;
  Index column_stride;
};

namespace detail {

// Adds alpha times the products of `Columns` rows of x from n on, of which those before `last`
// exist, and the rows of f; columns [k, k + depth) of both.
template <class T, std::size_t Rows, std::size_t Columns>
void add_dot_tiles(const ConstMatrixRef<T>& x, const ConstMatrixRef<T>& f, T alpha,
                   const DotTarget<T>& c, Index n, Index last, Index k, Index depth) {
  constexpr Index left_rows = Rows, right_rows = Columns;
  // Rows that do not exist repeat the last one, and their results are dropped.
  std::array<const T*, Columns> right;
  for (Index j = 0; j < right_rows; ++j)
    right[static_cast<std::size_t>(j)] = x.data() + std::min(n + j, last - 1) * x.outerStride() + k;
  for (Index r = 0; r < f.rows(); r += left_rows) {
    std::array<const T*, Rows> left;
    for (Index i = 0; i < left_rows; ++i)
      left[static_cast<std::size_t>(i)] =
          f.data() + std::min(r + i, f.rows() - 1) * f.outerStride() + k;
    std::array<T, DotShape<T>::left * DotShape<T>::right> results;
    dot_tile<T, Rows, Columns>(left, right, depth, results);
    const Index rows = std::min(left_rows, f.rows() - r);
    const Index columns = std::min(right_rows, last - n);
    for (Index j = 0; j < columns; ++j)
      for (Index i = 0; i < rows; ++i)
        c.data[(n + j) * c.row_stride + (r + i) * c.column_stride] +=
            alpha * results[static_cast<std::size_t>(i * right_rows + j)];
  }
}

}  // namespace detail

/// Adds alpha x f^T to c, for rows [first, last) of x (N, K) and all of f (R, K), which has few
/// rows: both are read where they lie, x once from memory.
template <class T>
void add_dot_products(ConstMatrixRef<T> x, ConstMatrixRef<T> f, T alpha, const DotTarget<T>& c,
                      Index first, Index last) {
  constexpr std::size_t left_rows = DotShape<T>::left, right_rows = DotShape<T>::right;
  // Rows of x for one round over f stay in the first-level cache.
  constexpr Index deep = 2048;
  for (Index k = 0; k < x.cols(); k += deep) {
    const Index depth = std::min(deep, x.cols() - k);
    for (Index n = first; n < last; n += right_rows) {
      // A row alone goes with twice as many of f: more of these are on their way from memory.
      if constexpr (right_rows > 1)
        if (last - n == 1) {
          detail::add_dot_tiles<T, 2 * left_rows, 1>(x, f, alpha, c, n, last, k, depth);
          continue;
        }
      detail::add_dot_tiles<T, left_rows, right_rows>(x, f, alpha, c, n, last, k, depth);
    }
  }
}

}  // namespace lora::kernels
