#pragma once

#include "lora/core/matrix.hpp"
#include "lora/kernels/simd.hpp"

namespace lora::kernels {

/// Says where the sums of a tile go: c = start + alpha * sums, for `columns` columns of rows that
/// are `stride` scalars apart.
template <class T>
struct TileTarget {
  T* c;
  Index stride = 0;
  Index columns;
  T alpha = T(1);
  /// What c starts from: what is there (add), else the row at `row`, else zero where that is null.
  bool add = true;
  const T* row = nullptr;
};

namespace detail {

template <class T, Index Rows, Index Vectors>
void store_tile(const typename Simd<T>::Packet (&sums)[Rows * Vectors],
                const TileTarget<T>& target) {
  namespace ei = Eigen::internal;
  using Packet = typename Simd<T>::Packet;
  constexpr Index width = Simd<T>::width;
  const auto alpha = ei::pset1<Packet>(target.alpha);
  if (target.columns == Vectors * width) {
    unroll<Rows>([&](auto i) {
      T* const c = target.c + i * target.stride;
      unroll<Vectors>([&](auto v) {
        const T* const start = target.add ? c : target.row;
        const Packet from =
            start == nullptr ? ei::pset1<Packet>(T(0)) : ei::ploadu<Packet>(start + v * width);
        ei::pstoreu(c + v * width, ei::pmadd(alpha, sums[i * Vectors + v], from));
      });
    });
    return;
  }
  // The last columns of a matrix do not fill their vectors.
  T buffer[Vectors * width];
  unroll<Rows>([&](auto i) {
    T* const c = target.c + i * target.stride;
    const T* const start = target.add ? c : target.row;
    for (Index j = 0; j < target.columns; ++j) buffer[j] = start == nullptr ? T(0) : start[j];
    for (Index j = target.columns; j < Vectors * width; ++j) buffer[j] = T(0);
    unroll<Vectors>([&](auto v) {
      T* const at = buffer + v * width;
      ei::pstoreu(at, ei::pmadd(alpha, sums[i * Vectors + v], ei::ploadu<Packet>(at)));
    });
    for (Index j = 0; j < target.columns; ++j) c[j] = buffer[j];
  });
}

}  // namespace detail

/// Computes a tile of a product in registers: for i < Rows and j < target.columns,
///
///     c(i, j) = start(i, j) + alpha sum over k < depth of left[k Rows + i] right[k stride + j]
///
/// left is packed (depth, Rows); right has Vectors packets to read in each of `depth` rows.
template <class T, Index Rows, Index Vectors>
void tile(const T* left, const T* right, Index right_stride, Index depth,
          const TileTarget<T>& target) {
  namespace ei = Eigen::internal;
  using Packet = typename Simd<T>::Packet;
  constexpr Index width = Simd<T>::width;
  // Far enough that a line from memory arrives in time, near enough that it is still in the
  // first-level cache when its turn comes.
  constexpr Index ahead = 16;
  Packet sums[Rows * Vectors];
  unroll<Rows>([&](auto i) {
    unroll<Vectors>([&](auto v) {
      sums[i * Vectors + v] = ei::pset1<Packet>(T(0));
      // The results of the tile below, whose turn is next.
      ei::prefetch(target.c + (Rows + i) * target.stride + v * width);
    });
  });
  for (Index k = 0; k < depth; ++k) {
    Packet r[Vectors];
    unroll<Vectors>([&](auto v) {
      r[v] = ei::ploadu<Packet>(right + v * width);
      ei::prefetch(right + ahead * right_stride + v * width);
    });
    unroll<Rows>([&](auto i) {
      const auto l = ei::pset1<Packet>(left[i]);
      unroll<Vectors>(
          [&](auto v) { sums[i * Vectors + v] = ei::pmadd(l, r[v], sums[i * Vectors + v]); });
    });
    left += Rows;
    right += right_stride;
  }
  detail::store_tile<T, Rows, Vectors>(sums, target);
}

/// Calls tile<T, rows, vectors>: rows is a power of two up to TileShape<T>::rows, vectors 1 to 3.
template <class T>
void tile_of(Index rows, Index vectors, const T* left, const T* right, Index right_stride,
             Index depth, const TileTarget<T>& target) {
  const auto with_vectors = [&](auto row_count) {
    constexpr Index r = decltype(row_count)::value;
    if (vectors == 3)
      tile<T, r, 3>(left, right, right_stride, depth, target);
    else if (vectors == 2)
      tile<T, r, 2>(left, right, right_stride, depth, target);
    else
      tile<T, r, 1>(left, right, right_stride, depth, target);
  };
  if constexpr (TileShape<T>::rows >= 8)
    if (rows == 8) return with_vectors(std::integral_constant<Index, 8>{});
  if (rows == 4) return with_vectors(std::integral_constant<Index, 4>{});
  if (rows == 2) return with_vectors(std::integral_constant<Index, 2>{});
  with_vectors(std::integral_constant<Index, 1>{});
}

/// Returns how many of `left` rows the next tile takes: all rows of a tile, or the largest power
/// of two that is left.
template <class T>
[[nodiscard]] constexpr Index tile_rows(Index left) {
  Index rows = TileShape<T>::rows;
  while (rows > left) rows /= 2;
  return rows;
}

}  // namespace lora::kernels
