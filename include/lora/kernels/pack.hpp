#pragma once

#include <algorithm>
#include <array>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/kernels/tile_shape.hpp"
#include "lora/kernels/transpose_packets.hpp"

namespace lora::kernels {

/// A view of a matrix as strips: element (j, k) lies at data[j * across + k * along], and one of
/// the two strides is 1.
template <class T>
struct Strips {
  const T* data;
  Index across;
  Index along;

  [[nodiscard]] const T* at(Index j, Index k) const { return data + j * across + k * along; }

  /// Returns the strips from (j, k) on.
  [[nodiscard]] Strips from(Index j, Index k) const { return {at(j, k), across, along}; }
};

/// Views the columns of a matrix (K, N) as strips: what stands right in a product.
template <class T>
[[nodiscard]] Strips<T> columns_of(const T* data, Index stride, bool row_major) {
  return row_major ? Strips<T>{data, 1, stride} : Strips<T>{data, stride, 1};
}

namespace detail {

// The widest packet that Width scalars fill a whole number of times; its `size` is 1 where there is
// none, or no transposition of it.
template <class T, Index Width>
struct FittingPacket {
  using type = typename Eigen::internal::find_best_packet<T, int(Width)>::type;
  static constexpr Index packet_size = Eigen::internal::unpacket_traits<type>::size;
  static constexpr bool fits = Simd<T>::has_vectors && Width % packet_size == 0;
  static constexpr Index size = fits ? packet_size : 1;
};

// out[k * out_stride + j] = in[j * in_stride + k] for j, k < Size, in registers.
template <class T, Index Size>
EIGEN_ALWAYS_INLINE void transpose_square(const T* in, Index in_stride, T* out, Index out_stride) {
  namespace ei = Eigen::internal;
  using Square = typename FittingPacket<T, Size>::type;
  Square rows[Size];
  unroll<Size>([&](Index j) __attribute__((always_inline)) {
    rows[j] = ei::ploadu<Square>(in + j * in_stride);
  });
  transpose_packets<Size>(rows);
  unroll<Size>([&](Index k)
                   __attribute__((always_inline)) { ei::pstoreu(out + k * out_stride, rows[k]); });
}

// out[k * out_stride + j] = in[j * in_stride + k] for j < count, a whole number of Size, and
// k < depth: in squares as large as fit, then in smaller ones.
template <class T, Index Size>
void transpose(const T* in, Index in_stride, Index count, Index depth, T* out, Index out_stride) {
  constexpr Index size = FittingPacket<T, Size>::size;
  Index k = 0;
  if constexpr (size > 1)
    for (; k + size <= depth; k += size)
      for (Index j = 0; j < count; j += size)
        transpose_square<T, size>(in + j * in_stride + k, in_stride, out + k * out_stride + j,
                                  out_stride);
  if (k == depth) return;
  if constexpr (size > 2) {
    transpose<T, size / 2>(in + k, in_stride, count, depth - k, out + k * out_stride, out_stride);
  } else {
    for (; k < depth; ++k)
      for (Index j = 0; j < count; ++j) out[k * out_stride + j] = in[j * in_stride + k];
  }
}

// Does that for any count, the most strips that it can in squares of Size, the others in smaller
// ones.
template <class T, Index Size>
void transpose_any(const T* in, Index in_stride, Index count, Index depth, T* out,
                   Index out_stride) {
  const Index whole = count / Size * Size;
  if (whole > 0) transpose<T, Size>(in, in_stride, whole, depth, out, out_stride);
  if constexpr (Size > 1)
    if (whole < count)
      transpose_any<T, Size / 2>(in + whole * in_stride, in_stride, count - whole, depth,
                                 out + whole, out_stride);
}

// out[k * Count + j] = in[k * in_stride + j] for j < Count, a length that the compiler knows.
template <class T, Index Count>
void copy_rows(const T* in, Index in_stride, Index depth, T* out) {
  for (Index k = 0; k < depth; ++k) std::copy_n(in + k * in_stride, Count, out + k * Count);
}

}  // namespace detail

/// Copies `filled` strips of `depth` elements side by side: out[k * wide + j] = strip j, element k;
/// zero for j from `filled` to `wide`.
template <class T>
void pack_strips(const Strips<T>& in, Index filled, Index wide, Index depth, T* out) {
  constexpr Index width = Simd<T>::width;
  if (filled < wide)
    for (Index k = 0; k < depth; ++k)
      std::fill(out + k * wide + filled, out + (k + 1) * wide, T(0));
  if (in.across != 1)
    return detail::transpose_any<T, std::max<Index>(width, 8)>(in.data, in.across, filled, depth,
                                                               out, wide);
  if (filled == wide) {
    if (wide == 3 * width) return detail::copy_rows<T, 3 * width>(in.data, in.along, depth, out);
    if (wide == 2 * width) return detail::copy_rows<T, 2 * width>(in.data, in.along, depth, out);
    if (wide == width) return detail::copy_rows<T, width>(in.data, in.along, depth, out);
    if (wide == 8) return detail::copy_rows<T, 8>(in.data, in.along, depth, out);
    if (wide == 4) return detail::copy_rows<T, 4>(in.data, in.along, depth, out);
  }
  for (Index k = 0; k < depth; ++k) std::copy_n(in.at(0, k), filled, out + k * wide);
}

}  // namespace lora::kernels
