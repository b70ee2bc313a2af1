#pragma once

#include <algorithm>
#include <type_traits>

#include "lora/core/matrix.hpp"
#include "lora/kernels/simd.hpp"

namespace lora::kernels {

/// Views a matrix as strips: element (j, k) lies at data[j * across + k * along], and one of the
/// two strides is 1.
template <class T>
struct Strips {
  const T* data;
  Index across;
  Index along;

  [[nodiscard]] const T* at(Index j, Index k) const { return data + j * across + k * along; }
};

/// Views the columns of `matrix` (K, N) as strips: what stands right in a product.
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
  static constexpr bool fits =
      (std::is_same_v<T, float> || std::is_same_v<T, double>)&&Width % packet_size == 0;
  static constexpr Index size = fits ? packet_size : 1;
};

// out[k * out_stride + j] = in[j * in_stride + k] for j, k < Size, in registers.
template <class T, Index Size>
EIGEN_STRONG_INLINE void transpose_square(const T* in, Index in_stride, T* out, Index out_stride) {
  namespace ei = Eigen::internal;
  using Packet = typename FittingPacket<T, Size>::type;
  ei::PacketBlock<Packet, int(Size)> block;
  unroll<Size>([&](auto j) { block.packet[j] = ei::ploadu<Packet>(in + j * in_stride); });
  ei::ptranspose(block);
  unroll<Size>([&](auto k) { ei::pstoreu(out + k * out_stride, block.packet[k]); });
}

// out[k * out_stride + j] = in[j * in_stride + k] for j < Count, k < depth, in squares as large as
// fit, then in smaller ones.
template <class T, Index Count>
void transpose(const T* in, Index in_stride, Index depth, T* out, Index out_stride) {
  constexpr Index size = FittingPacket<T, Count>::size;
  Index k = 0;
  if constexpr (size > 1)
    for (; k + size <= depth; k += size)
      for (Index j = 0; j < Count; j += size)
        transpose_square<T, size>(in + j * in_stride + k, in_stride, out + k * out_stride + j,
                                  out_stride);
  if (k == depth) return;
  if constexpr (size > 2) {
    for (Index j = 0; j < Count; j += size / 2)
      transpose<T, size / 2>(in + j * in_stride + k, in_stride, depth - k, out + k * out_stride + j,
                             out_stride);
  } else {
    for (; k < depth; ++k)
      for (Index j = 0; j < Count; ++j) out[k * out_stride + j] = in[j * in_stride + k];
  }
}

}  // namespace detail

/// Copies `filled` strips of `depth` elements side by side: out[k * Width + j] = strip j,
/// element k; zero for j from `filled` to Width.
template <class T, Index Width>
void pack_strips(const Strips<T>& in, Index filled, Index depth, T* out) {
  if (filled < Width)
    for (Index k = 0; k < depth; ++k)
      std::fill(out + k * Width + filled, out + (k + 1) * Width, T(0));
  if (in.across == 1) {
    if (filled == Width) {  // a length that the compiler knows
      for (Index k = 0; k < depth; ++k) std::copy_n(in.at(0, k), Width, out + k * Width);
    } else {
      for (Index k = 0; k < depth; ++k) std::copy_n(in.at(0, k), filled, out + k * Width);
    }
    return;
  }
  if (filled == Width) return detail::transpose<T, Width>(in.data, in.across, depth, out, Width);
  // The edge of a matrix: whole vectors of strips, then one after the other.
  constexpr Index size = detail::FittingPacket<T, Width>::size;
  Index j = 0;
  for (; j + size <= filled; j += size)
    detail::transpose<T, size>(in.at(j, 0), in.across, depth, out + j, Width);
  for (Index k = 0; k < depth && j < filled; ++k)
    for (Index i = j; i < filled; ++i) out[k * Width + i] = *in.at(i, k);
}

}  // namespace lora::kernels
