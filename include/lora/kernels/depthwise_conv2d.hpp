#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/pixel_taps.hpp"

namespace lora::kernels {

/// Computes, for each place of `taps` and each channel c, the sum of a convolution whose channels
/// have kernels of their own:
///
///     y(row_of(place), c) = start[c] + sum over t of x(pixel of tap t, c) kernel(tap_of(t), c)
///
/// x (pixels, channels), kernel (elements, channels), start a row (channels) or null for zeros;
/// taps outside of an image add nothing. Each result is one sum, whatever the number of threads.
template <class T, class TapOf, class RowOf>
void depthwise_product(const ConstMatrixRef<T>& x, const PixelTaps& taps,
                       const ConstMatrixRef<T>& kernel, const TapOf& tap_of, const T* start,
                       const RowOf& row_of, MatrixRef<T> y) {
  // Sums of so many channels stay in registers.
  constexpr int block = 4 * static_cast<int>(Simd<T>::width);
  using Sums = Eigen::Array<T, 1, block>;
  using View = Eigen::Map<const Sums>;
  constexpr Index chunk = 64;
  const Index places = taps.rows(), channels = y.cols(), count = taps.taps();
  const Index tasks = (places + chunk - 1) / chunk;
  const double work = static_cast<double>(places) * static_cast<double>(channels * (count + 1));
  parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
    Scratch scratch;
    auto* const pixels = scratch.take<Index>(count);
    auto* const elements = scratch.take<Index>(count);
    for (Index row = task * chunk; row < std::min(places, (task + 1) * chunk); ++row) {
      const PixelTaps::Place place = taps.place(row);
      Index inside = 0;
      for (Index t = 0; t < count; ++t) {
        const Index pixel = taps.pixel(place, t);
        if (pixel < 0) continue;
        pixels[inside] = pixel * x.outerStride();
        elements[inside++] = tap_of(t) * kernel.outerStride();
      }
      T* const to = y.data() + row_of(row) * y.outerStride();
      Index c = 0;
      for (; c + block <= channels; c += block) {
        Sums sums = start != nullptr ? Sums(View(start + c)) : Sums(Sums::Zero());
        for (Index i = 0; i < inside; ++i)
          sums += View(x.data() + pixels[i] + c) * View(kernel.data() + elements[i] + c);
        Eigen::Map<Sums>(to + c) = sums;
      }
      for (; c < channels; ++c) {
        T sum = start != nullptr ? start[c] : T(0);
        for (Index i = 0; i < inside; ++i)
          sum += x.data()[pixels[i] + c] * kernel.data()[elements[i] + c];
        to[c] = sum;
      }
    }
  });
}

}  // namespace lora::kernels
