#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/pixel_taps.hpp"

namespace lora::kernels {

/// The right side (taps * out, channels) by which a convolution's gradient goes back to the pixels
/// of one phase: row (t, o) is W's row o at the kernel element that tap t is. `right` is W (out,
/// kernel elements * channels) as a right side; `row_scale` (out), unless it is null, multiplies
/// its rows.
template <class T, class Right>
requires PanelSource<Right, T>
struct KernelPanels {
  Right right;
  const Phase* phase;
  Index out;
  Index channels;
  const T* row_scale = nullptr;

  [[nodiscard]] Panel<T> panel(const PanelRequest& request, T* buffer) const {
    const Index wide = round_up(request.columns, Simd<T>::width);
    // Read often enough that `right` copies what it might else leave where it lies.
    constexpr Index often = 1 << 20;
    for (Index done = 0; done < request.depth;) {
      const Index k = request.depth_begin + done, o = k % out;
      const Index run = std::min(out - o, request.depth - done);
      const Index column = phase->kernel_tap(k / out) * channels + request.column;
      T* const place = buffer + done * wide;
      const Panel<T> piece = right.panel({column, request.columns, o, run, often}, place);
      if (row_scale != nullptr)
        for (Index i = 0; i < run; ++i)
          std::transform(piece.data + i * piece.stride, piece.data + i * piece.stride + wide,
                         place + i * wide, [by = row_scale[o + i]](T w) { return by * w; });
      else if (piece.data != place)
        for (Index i = 0; i < run; ++i)
          std::copy_n(piece.data + i * piece.stride, wide, place + i * wide);
      done += run;
    }
    return {buffer, wide};
  }

  /// Returns where W lies for the kernel element that the request begins with.
  [[nodiscard]] Ahead<T> ahead(const PanelRequest& request) const requires
      ForeseenPanelSource<Right, T> {
    const Index k = request.depth_begin, o = k % out;
    const Index column = phase->kernel_tap(k / out) * channels + request.column;
    return right.ahead(
        {column, request.columns, o, std::min(out - o, request.depth), request.readings});
  }
};

}  // namespace lora::kernels
