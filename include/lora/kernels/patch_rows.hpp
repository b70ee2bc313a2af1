#pragma once

#include <algorithm>
#include <array>

#include "lora/core/matrix.hpp"
#include "lora/kernels/left_source.hpp"
#include "lora/kernels/pack.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/pixel_taps.hpp"
#include "lora/kernels/transpose_packets.hpp"

namespace lora::kernels {

namespace detail {

/// As many zeros as a depth block is deep: what lies outside of an image.
template <class T>
inline constexpr std::array<T, static_cast<std::size_t>(depth_block)> zeros{};

// out[k * Rows + i] = rows[i][k] for i < Rows and k < depth.
template <class T, Index Rows>
void interleave(const T* const* rows, Index depth, T* out) {
  namespace ei = Eigen::internal;
  using Square = FittingPacket<T, Rows>;
  Index k = 0;
  if constexpr (Square::size == Rows && Rows > 1)
    for (; k + Rows <= depth; k += Rows) {
      typename Square::type square[Rows];
      unroll<Rows>([&](Index i) __attribute__((always_inline)) {
        square[i] = ei::ploadu<typename Square::type>(rows[i] + k);
      });
      transpose_packets<Rows>(square);
      unroll<Rows>([&](Index i) __attribute__((always_inline)) {
        ei::pstoreu(out + (k + i) * Rows, square[i]);
      });
    }
  for (; k < depth; ++k)
    for (Index i = 0; i < Rows; ++i) out[k * Rows + i] = rows[i][k];
}

template <class T>
void interleave(const T* const* rows, Index count, Index depth, T* out) {
  if (count == 8) return interleave<T, 8>(rows, depth, out);
  if (count == 4) return interleave<T, 4>(rows, depth, out);
  if (count == 2) return interleave<T, 2>(rows, depth, out);
  interleave<T, 1>(rows, depth, out);
}

// Copies `count` elements: a call of memmove costs more than the few that a kernel's row of an
// image of three channels has.
template <class T>
EIGEN_ALWAYS_INLINE void copy_run(const T* from, Index count, T* to) {
  namespace ei = Eigen::internal;
  using Four = FittingPacket<T, 4>;
  constexpr Index few = 48;
  if (count > few) {
    std::copy_n(from, count, to);
    return;
  }
  Index i = 0;
  for (; i + Four::size <= count; i += Four::size)
    ei::pstoreu(to + i, ei::ploadu<typename Four::type>(from + i));
  for (; i < count; ++i) to[i] = from[i];
}

// Tells whether the rest of a kernel's row, from `tap` on, lies side by side in memory, none of its
// pixels outside: few channels then make no short runs.
template <class T>
bool whole_kernel_row(const PixelTaps& taps, const ConstMatrixRef<T>& image,
                      const PixelTaps::Place& place, Index tap) {
  if (taps.x.direction != 1 || image.outerStride() != image.cols()) return false;
  const Index last = (tap / taps.x.taps + 1) * taps.x.taps - 1;
  return taps.pixel(place, tap) >= 0 && taps.pixel(place, last) >= 0;
}

}  // namespace detail

/// The patches of images as the left side (places, taps * channels) of a product, read where they
/// are packed: a patch lists the channels of its first pixel, of its second, and so on, zeros
/// outside of the image. `image` is (pixels, channels), one row a pixel.
template <class T>
class PatchRows {
 public:
  PatchRows(const ConstMatrixRef<T>& image, const PixelTaps& taps) : image_(image), taps_(taps) {}

  [[nodiscard]] Index rows() const { return taps_.rows(); }
  [[nodiscard]] Index depth() const { return taps_.taps() * image_.cols(); }

  void pack(const LeftRequest& request, T* out) const {
    constexpr std::size_t most = 8;
    std::array<PixelTaps::Place, most> places;
    std::array<const T*, most> rows;
    const auto count = static_cast<std::size_t>(request.rows);
    for (std::size_t i = 0; i < count; ++i)
      places[i] = taps_.place(request.row + static_cast<Index>(i));
    const Index channels = image_.cols();
    for (Index k = request.depth_begin, end = k + request.depth; k < end;) {
      const Index tap = k / channels, channel = k % channels;
      bool joined = true;
      for (std::size_t i = 0; joined && i < count; ++i)
        joined = detail::whole_kernel_row(taps_, image_, places[i], tap);
      const Index taps = joined ? taps_.x.taps - tap % taps_.x.taps : 1;
      const Index run = std::min(taps * channels - channel, end - k);
      for (std::size_t i = 0; i < count; ++i) {
        const Index pixel = taps_.pixel(places[i], tap);
        rows[i] = pixel < 0 ? detail::zeros<T>.data()
                            : image_.data() + pixel * image_.outerStride() + channel;
      }
      detail::interleave(rows.data(), request.rows, run, out);
      out += run * request.rows;
      k += run;
    }
  }

 private:
  ConstMatrixRef<T> image_;
  PixelTaps taps_;
};

/// The same patches as the right side (places, taps * channels) of a product: what the gradient of
/// a kernel sums over.
template <class T>
class PatchPanels {
 public:
  PatchPanels(const ConstMatrixRef<T>& image, const PixelTaps& taps) : image_(image), taps_(taps) {}

  [[nodiscard]] Panel<T> panel(const PanelRequest& request, T* buffer) const {
    const Index channels = image_.cols(), wide = round_up(request.columns, Simd<T>::width);
    const Index end = request.column + request.columns;
    // The pixels themselves serve where they lie, as MatrixPanels has it.
    if (taps_.is_identity() && wide == request.columns && request.readings <= 2)
      return {image_.data() + request.depth_begin * image_.outerStride() + request.column,
              image_.outerStride()};
    for (Index row = 0; row < request.depth; ++row) {
      const auto place = taps_.place(request.depth_begin + row);
      T* out = buffer + row * wide;
      for (Index k = request.column; k < end;) {
        const Index tap = k / channels, channel = k % channels;
        const Index taps = detail::whole_kernel_row(taps_, image_, place, tap)
                               ? taps_.x.taps - tap % taps_.x.taps
                               : 1;
        const Index run = std::min(taps * channels - channel, end - k);
        const Index pixel = taps_.pixel(place, tap);
        if (pixel < 0)
          std::fill_n(out, run, T(0));
        else
          detail::copy_run(image_.data() + pixel * image_.outerStride() + channel, run, out);
        out += run;
        k += run;
      }
      std::fill(out, buffer + (row + 1) * wide, T(0));
    }
    return {buffer, wide};
  }

 private:
  ConstMatrixRef<T> image_;
  PixelTaps taps_;
};

}  // namespace lora::kernels
