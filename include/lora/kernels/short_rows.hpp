#pragma once

#include <type_traits>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/kernels/pack.hpp"
#include "lora/kernels/transpose_packets.hpp"

/// Products of one vector with a matrix of short rows, such as B (out, R) of a low-rank update,
/// which is read once and where it lies. Sums have one order for each R.
namespace lora::kernels {

namespace detail {

// Calls use(a constant: the scalars of the packet) with the widest packet of at most eight scalars
// that fills rows of `count`, which is one that takes_short_rows.
template <class T, class Use>
void with_row_packet(Index count, const Use& use) {
  if constexpr (FittingPacket<T, 8>::size == 8)
    if (count % 8 == 0) return use(std::integral_constant<Index, 8>{});
  if constexpr (FittingPacket<T, 4>::size == 4)
    if (count % 4 == 0) return use(std::integral_constant<Index, 4>{});
}

}  // namespace detail

/// Tells whether the functions below take rows of `count` scalars: whole packets of four or eight.
template <class T>
[[nodiscard]] constexpr bool takes_short_rows(Index count) {
  constexpr bool eight = detail::FittingPacket<T, 8>::size == 8,
                 four = detail::FittingPacket<T, 4>::size == 4;
  return (eight && count % 8 == 0) || (four && count % 4 == 0);
}

/// Adds alpha * sum over k of row[k] b(n, k) to c[n], for b (N, R).
template <class T>
void add_short_rows_product(const T* row, T alpha, const ConstMatrixRef<T>& b, T* c) {
  namespace ei = Eigen::internal;
  detail::with_row_packet<T>(b.cols(), [&](auto constant) {
    constexpr Index size = decltype(constant)::value;
    using P = typename detail::FittingPacket<T, size>::type;
    const Index count = b.rows(), stride = b.outerStride();
    for (Index k = 0; k < b.cols(); k += size) {
      P factors[size];
      unroll<size>([&](Index i) __attribute__((always_inline)) {
        factors[i] = ei::pset1<P>(alpha * row[k + i]);
      });
      const T* from = b.data() + k;
      Index n = 0;
      for (; n + size <= count; n += size, from += size * stride) {
        P square[size];
        unroll<size>([&](Index i) __attribute__((always_inline)) {
          square[i] = ei::ploadu<P>(from + i * stride);
        });
        transpose_packets<size>(square);
        P sum = ei::ploadu<P>(c + n);
        unroll<size>([&](Index i) __attribute__((always_inline)) {
          sum = ei::pmadd(factors[i], square[i], sum);
        });
        ei::pstoreu(c + n, sum);
      }
      for (; n < count; ++n, from += stride)
        for (Index i = 0; i < size; ++i) c[n] += alpha * row[k + i] * from[i];
    }
  });
}

/// Adds sum over n of weights[n] b(n, k) to c[k], for b (N, R).
template <class T>
void add_weighted_short_rows(const T* weights, const ConstMatrixRef<T>& b, T* c) {
  namespace ei = Eigen::internal;
  detail::with_row_packet<T>(b.cols(), [&](auto constant) {
    constexpr Index size = decltype(constant)::value, sums = 8;  // so many hide an addition's time
    using P = typename detail::FittingPacket<T, size>::type;
    const Index count = b.rows(), stride = b.outerStride();
    for (Index k = 0; k < b.cols(); k += size) {
      const T* from = b.data() + k;
      P sum[sums];
      unroll<sums>([&](Index i) __attribute__((always_inline)) { sum[i] = ei::pset1<P>(T(0)); });
      Index n = 0;
      for (; n + sums <= count; n += sums, from += sums * stride)
        unroll<sums>([&](Index i) __attribute__((always_inline)) {
          sum[i] =
              ei::pmadd(ei::pset1<P>(weights[n + i]), ei::ploadu<P>(from + i * stride), sum[i]);
        });
      for (; n < count; ++n, from += stride)
        sum[0] = ei::pmadd(ei::pset1<P>(weights[n]), ei::ploadu<P>(from), sum[0]);
      unroll<4>([&](Index i)
                    __attribute__((always_inline)) { sum[i] = ei::padd(sum[i], sum[i + 4]); });
      const P all = ei::padd(ei::padd(sum[0], sum[1]), ei::padd(sum[2], sum[3]));
      ei::pstoreu(c + k, ei::padd(ei::ploadu<P>(c + k), all));
    }
  });
}

/// Adds alpha weights[n] row[k] to c(n, k), for c (N, R).
template <class T>
void add_outer_product(const T* weights, T alpha, const T* row, MatrixRef<T> c) {
  namespace ei = Eigen::internal;
  detail::with_row_packet<T>(c.cols(), [&](auto constant) {
    constexpr Index size = decltype(constant)::value;
    using P = typename detail::FittingPacket<T, size>::type;
    for (Index k = 0; k < c.cols(); k += size) {
      const P factor = ei::pmul(ei::pset1<P>(alpha), ei::ploadu<P>(row + k));
      T* to = c.data() + k;
      for (Index n = 0; n < c.rows(); ++n, to += c.outerStride())
        ei::pstoreu(to, ei::pmadd(ei::pset1<P>(weights[n]), factor, ei::ploadu<P>(to)));
    }
  });
}

}  // namespace lora::kernels
