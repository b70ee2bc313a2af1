#pragma once

#include <algorithm>
#include <array>
#include <type_traits>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/kernels/epilogue.hpp"
#include "lora/kernels/tile_shape.hpp"

namespace lora::kernels {

namespace detail {

// sums(i, v) += sum over k of left(k, i) right(k, v), in registers.
template <class T, Index Rows, Index Vectors>
EIGEN_ALWAYS_INLINE void add_products(Packet<T> (&sums)[Rows * Vectors], Operands<T> from) {
  namespace ei = Eigen::internal;
  constexpr Index width = Simd<T>::width;
  // Far enough that a line from memory arrives in time, near enough that it is still in the
  // first-level cache when its turn comes. (The builtin itself: GCC takes Eigen's function around
  // it for one without effect, and drops its calls.)
  constexpr Index ahead = 16;
  // Where there is nothing to ask for, the right side: no branch in the loop.
  const bool none = from.ahead.data == nullptr;
  const T* next = none ? from.right : from.ahead.data;
  const Index steps = none ? from.depth : from.ahead.steps;
  const Index jump = none ? 0 : from.ahead.stride - steps * Ahead<T>::line;
  Index left_of_piece = steps;
  for (Index k = 0; k < from.depth; ++k) {
    __builtin_prefetch(next, 0, 2);
    next += Ahead<T>::line;
    if (--left_of_piece == 0) {
      left_of_piece = steps;
      next += jump;
    }
    Packet<T> r[Vectors];
    unroll<Vectors>([&](Index v) __attribute__((always_inline)) {
      r[v] = ei::ploadu<Packet<T>>(from.right + v * width);
      __builtin_prefetch(from.right + ahead * from.right_stride + v * width);
    });
    unroll<Rows>([&](Index i) __attribute__((always_inline)) {
      const auto l = ei::pset1<Packet<T>>(from.left[i]);
      unroll<Vectors>([&](Index v) __attribute__((always_inline)) {
        sums[i * Vectors + v] = ei::pmadd(l, r[v], sums[i * Vectors + v]);
      });
    });
    from.left += Rows;
    from.right += from.right_stride;
  }
}

}  // namespace detail

/// Computes a tile of a product in registers: for i < Rows and j < Vectors packets,
///
///     c(i, j) = start(i, j) + scale(j) sum over k of left(k, i) right(k, j) + low_rank(i, j)
template <class T, Index Rows, Index Vectors>
void tile(const Operands<T>& product, const Epilogue<T>& epilogue) {
  namespace ei = Eigen::internal;
  constexpr Index width = Simd<T>::width;
  Packet<T> sums[Rows * Vectors];
  unroll<Rows>([&](Index i) __attribute__((always_inline)) {
    unroll<Vectors>([&](Index v) __attribute__((always_inline)) {
      sums[i * Vectors + v] = ei::pset1<Packet<T>>(T(0));
      // The results of the tile below, whose turn is next.
      __builtin_prefetch(epilogue.c + (Rows + i) * epilogue.stride + v * width);
    });
  });
  detail::add_products<T, Rows, Vectors>(sums, product);
  Packet<T> scale[Vectors];
  unroll<Vectors>([&](Index v) __attribute__((always_inline)) {
    scale[v] = ei::ploadu<Packet<T>>(epilogue.scale + v * width);
  });
  unroll<Rows>([&](Index i) __attribute__((always_inline)) {
    const T* const start = epilogue.start + i * epilogue.start_stride;
    unroll<Vectors>([&](Index v) __attribute__((always_inline)) {
      sums[i * Vectors + v] =
          ei::pmadd(scale[v], sums[i * Vectors + v], ei::ploadu<Packet<T>>(start + v * width));
    });
  });
  detail::add_products<T, Rows, Vectors>(sums, epilogue.low_rank);
  unroll<Rows>([&](Index i) __attribute__((always_inline)) {
    unroll<Vectors>([&](Index v) __attribute__((always_inline)) {
      ei::pstoreu(epilogue.c + i * epilogue.stride + v * width, sums[i * Vectors + v]);
    });
  });
}

namespace detail {

// Calls tile<T, rows, vectors>. Inlined, every caller would compile all tiles again.
template <class T>
[[gnu::noinline]] void whole_tile(Index rows, Index vectors, const Operands<T>& product,
                                  const Epilogue<T>& epilogue) {
  const auto with_vectors = [&](auto row_count) {
    constexpr Index r = decltype(row_count)::value;
    if (vectors == 3)
      tile<T, r, 3>(product, epilogue);
    else if (vectors == 2)
      tile<T, r, 2>(product, epilogue);
    else
      tile<T, r, 1>(product, epilogue);
  };
  if constexpr (TileShape<T>::rows >= 8)
    if (rows == 8) return with_vectors(std::integral_constant<Index, 8>{});
  if (rows == 4) return with_vectors(std::integral_constant<Index, 4>{});
  if (rows == 2) return with_vectors(std::integral_constant<Index, 2>{});
  with_vectors(std::integral_constant<Index, 1>{});
}

}  // namespace detail

/// Computes the tile of `rows` rows, a power of two up to TileShape<T>::rows, and as many columns
/// as the epilogue says, at most TileShape<T>::columns. The right side has whole packets to read.
template <class T>
void tile_of(Index rows, const Operands<T>& product, const Epilogue<T>& epilogue) {
  constexpr Index width = Simd<T>::width;
  const Index columns = epilogue.columns;
  const Index vectors = (columns + width - 1) / width;
  if (columns == vectors * width) return detail::whole_tile(rows, vectors, product, epilogue);
  // The last columns of a matrix do not fill their packets: start and result pass through memory
  // that does.
  constexpr Index wide = TileShape<T>::columns;
  std::array<T, static_cast<std::size_t>(TileShape<T>::rows * wide)> buffer;
  for (Index i = 0; i < rows; ++i) {
    T* const row = buffer.data() + i * wide;
    std::fill(std::copy_n(epilogue.start + i * epilogue.start_stride, columns, row), row + wide,
              T(0));
  }
  detail::whole_tile(
      rows, vectors, product,
      {buffer.data(), wide, wide, epilogue.scale, buffer.data(), wide, epilogue.low_rank});
  for (Index i = 0; i < rows; ++i)
    std::copy_n(buffer.data() + i * wide, columns, epilogue.c + i * epilogue.stride);
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
