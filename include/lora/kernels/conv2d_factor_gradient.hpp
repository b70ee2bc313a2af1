#pragma once

#include <algorithm>

#include "lora/core/image_shape.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/conv2d_product.hpp"
#include "lora/kernels/packed_left.hpp"
#include "lora/kernels/panel_product.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/patch_columns.hpp"
#include "lora/kernels/window.hpp"

namespace lora::kernels {

namespace detail {

// The pixels of one phase, from number `first` on, as the right side (places, channels) of a
// product.
template <class T>
struct PhasePixels {
  ConstMatrixRef<T> x;
  const Phase* phase;
  Index first;

  [[nodiscard]] Panel<T> panel(const PanelRequest& request, T* buffer) const {
    const Index wide = round_up(request.columns, Simd<T>::width);
    for (Index k = 0; k < request.depth; ++k) {
      const Index row = phase->input_row(first + request.depth_begin + k);
      T* const to = buffer + k * wide;
      std::fill(std::copy_n(x.data() + row * x.outerStride() + request.column, request.columns, to),
                to + wide, T(0));
    }
    return {buffer, wide};
  }
};

// Computes the sum over the pixels of a phase of g, gathered there (pixels, taps * R), transposed,
// times x: (taps * R, channels), by blocks of pixels of a fixed size that are added in their order.
template <class T>
void gathered_product(const Phase& phase, const ConstMatrixRef<T>& g, const ConstMatrixRef<T>& x,
                      bool contiguous, MatrixRef<T> sum) {
  constexpr Index block = 12 * depth_block;
  const Index pixels = phase.taps.rows(), blocks = (pixels + block - 1) / block, size = sum.size();
  Scratch scratch;
  T* const parts = scratch.take<T>(size * blocks);
  const double work = static_cast<double>(size) * static_cast<double>(pixels);
  parallel_for(blocks, threads_for(blocks, work), [&](Index b) {
    const Index first = b * block;
    const PatchColumns<T> gathered(g, phase.taps, first, std::min(block, pixels - first));
    Scratch inner;
    const PackedLeft<T> left =
        pack_left<T>(gathered, inner.take<T>(packed_left_size(gathered.rows(), gathered.depth())));
    const MatrixRef<T> part(parts + b * size, sum.rows(), sum.cols(), sum.cols());
    if (contiguous) {
      const MatrixPanels<T> right{
          columns_of(x.data() + first * x.outerStride(), x.outerStride(), true)};
      panel_product<T>(part, {false, nullptr}, Product<T, MatrixPanels<T>>{left, right});
    } else {
      const PhasePixels<T> right{x, &phase, first};
      panel_product<T>(part, {false, nullptr}, Product<T, PhasePixels<T>>{left, right});
    }
  });
  sum.setZero();
  for (Index b = 0; b < blocks; ++b)
    sum += ConstMatrixRef<T>(parts + b * size, sum.rows(), sum.cols(), sum.cols());
}

}  // namespace detail

/// Adds scale * g^T patches to the gradient of a factor of few rows, da (R, taps * channels), for g
/// (out.rows(), R) and images x (in.rows(), channels): as add_conv2d_kernel_gradient, but it is g
/// that is gathered at the pixels, R numbers for each tap, and not the patches, unless an image has
/// few channels.
template <class T>
void add_conv2d_factor_gradient(const Window& window, const ImageShape& in, const ImageShape& out,
                                const ConstMatrixRef<T>& g, const ConstMatrixRef<T>& x, T scale,
                                MatrixRef<T> da) {
  const Index channels = x.cols(), rank = g.cols();
  if (rank == 0 || out.rows() == 0) return;
  const bool contiguous = window.stride_height == 1 && window.stride_width == 1;
  if (!contiguous && channels < Simd<T>::width)
    return add_conv2d_kernel_gradient<T>(window, in, out, g, x, scale, da);
  for (Index y = 0; y < std::min(window.stride_height, in.height); ++y)
    for (Index col = 0; col < std::min(window.stride_width, in.width); ++col) {
      const Phase phase(window, in, out, y, col);
      if (phase.taps.taps() == 0) continue;
      Scratch scratch;
      MatrixRef<T> sum = scratch.matrix<T>(phase.taps.taps() * rank, channels);
      detail::gathered_product<T>(phase, g, x, contiguous, sum);
      for (Index t = 0; t < phase.taps.taps(); ++t)
        da.middleCols(phase.kernel_tap(t) * channels, channels) +=
            scale * sum.middleRows(t * rank, rank);
    }
}

}  // namespace lora::kernels
