#pragma once

#include <algorithm>
#include <array>

#include "lora/core/image_shape.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/joined_product.hpp"
#include "lora/kernels/joined_tail.hpp"
#include "lora/kernels/kernel_panels.hpp"
#include "lora/kernels/packed_bands.hpp"
#include "lora/kernels/panel_product.hpp"
#include "lora/kernels/patch_rows.hpp"
#include "lora/kernels/pixel_taps.hpp"
#include "lora/kernels/prepared_panels.hpp"
#include "lora/kernels/window.hpp"

/// The products of a convolution: images as matrices, one row a pixel; kernels as matrices (out,
/// taps * channels) in the order of patches. Patches are packed straight from the images, never
/// formed as a whole.
namespace lora::kernels {

/// Returns the places whose patches are packed at a time: about a megabyte, which stays in the
/// second-level cache.
[[nodiscard]] inline Index places_at_once(Index depth) {
  constexpr Index packed = Index{1} << 18;
  return round_up(std::max(Index{256}, packed / std::max<Index>(depth, 1)), Index{64});
}

/// The way into a convolution's low-rank path: xa = patches a^T, for a (R, taps * channels). An a
/// without rows means that there is none, or that xa is there already.
template <class T>
struct LowRankInput {
  ConstMatrixRef<T> a;
  MatrixRef<T> xa;  // (places, R)
};

namespace detail {

// Computes xa where it is asked for, by a product of its own, and all of y.
template <class T, class Right>
void conv2d_band(const PackedLeft<T>& packed, Index row, const Right& right, const T* bias,
                 const T* column_scale, const LowRankInput<T>& input,
                 const LowRankPart<T>& low_rank, MatrixRef<T> y) {
  if (input.a.rows() > 0) {
    MatrixRef<T> xa = input.xa;
    const MatrixPanels<T> a{columns_of(input.a.data(), input.a.outerStride(), false)};
    panel_product<T>(xa.middleRows(row, packed.rows), {false, nullptr},
                     Product<T, MatrixPanels<T>>{packed, a});
  }
  joined_band(packed, right, {false, bias}, low_rank, row, y, column_scale);
}

}  // namespace detail

/// Computes y = bias + column_scale * patches W^T + low_rank for `right`, W^T (taps * channels,
/// out), and before it xa, from patches that are packed once. bias and column_scale are rows (out)
/// or null; `low_rank` may read xa.
template <class T, class Right>
requires PanelSource<Right, T>
void conv2d_forward(const PatchRows<T>& patches, const Right& right, const T* bias,
                    const T* column_scale, const LowRankInput<T>& input,
                    const LowRankPart<T>& low_rank, MatrixRef<T> y) {
  const Index rank = input.a.rows(), step = places_at_once(patches.depth());
  const auto for_each_band = [&](const auto& use) { for_each_packed_band<T>(patches, step, use); };
  if constexpr (!ScaledPanelSource<Right, T>)
    if (low_rank.exists() && JoinedTail<T>::fits(y.cols(), rank)) {
      Scratch scratch;
      const JoinedTail<T> tail({patches.depth(), y.cols(), rank}, right, input.a, bias,
                               column_scale, low_rank, scratch);
      const Index main = JoinedTail<T>::main_columns(y.cols());
      return for_each_band([&](const PackedLeft<T>& packed, Index row) {
        tail.compute(packed, row, input.xa, y);
        if (main > 0)
          joined_band<T>(packed, right, {false, bias}, low_rank, row, y.leftCols(main),
                         column_scale);
      });
    }
  for_each_band([&](const PackedLeft<T>& packed, Index row) {
    detail::conv2d_band(packed, row, right, bias, column_scale, input, low_rank, y);
  });
}

namespace detail {

// The low-rank part of a phase's gradient: rows (t, r) of the factor are A's row r at the kernel
// element that tap t is. a is (R, kernel elements * channels).
template <class T>
ConstMatrixRef<T> phase_factor(const Phase& phase, const ConstMatrixRef<T>& a, Index channels,
                               Scratch& scratch) {
  MatrixRef<T> factor = scratch.matrix<T>(phase.taps.taps() * a.rows(), channels);
  for (Index t = 0; a.rows() > 0 && t < phase.taps.taps(); ++t)
    factor.middleRows(t * a.rows(), a.rows()) =
        a.middleCols(phase.kernel_tap(t) * channels, channels);
  return factor;
}

// Packs dy and the low-rank part for the pixels of one phase, band by band, calls multiply(out,
// packed, low rank), which computes their gradients, and puts these where they lie in dx.
template <class T, class Multiply>
void for_each_phase_band(const Phase& phase, const ConstMatrixRef<T>& dy,
                         const LowRankInput<T>& low_rank, T scale, bool contiguous, MatrixRef<T> dx,
                         const Multiply& multiply) {
  const Index channels = dx.cols(), rank = low_rank.a.rows();
  Scratch scratch;
  const PatchRows<T> left(dy, phase.taps), low_rank_left(low_rank.xa, phase.taps);
  const ConstMatrixRef<T> factor = phase_factor(phase, low_rank.a, channels, scratch);
  const MatrixPanels<T> factor_panels{columns_of(factor.data(), factor.outerStride(), true)};
  const Index step = places_at_once(left.depth());
  for_each_packed_band<T>(left, step, [&](const PackedLeft<T>& packed, Index row) {
    Scratch inner;
    const Index rows = packed.rows, size = rank * phase.taps.taps() * rows;
    MatrixRef<T> out =
        contiguous ? MatrixRef<T>(dx.middleRows(row, rows)) : inner.matrix<T>(rows, channels);
    LowRankProduct<T> part;
    if (size > 0) {
      T* const memory = inner.take<T>(size);
      part = {pack_left<T>(low_rank_left, row, rows, memory), factor_panels};
      for (Index i = 0; i < size; ++i) memory[i] *= scale;
    }
    multiply(out, packed, part);
    if (contiguous) return;
    for (Index i = 0; i < rows; ++i) dx.row(phase.input_row(row + i)) = out.row(i);
  });
}

// Computes the gradient of the pixels of one phase.
template <class T, class Right>
void conv2d_phase_gradient(const Phase& phase, const ConstMatrixRef<T>& dy, const Right& right,
                           const T* row_scale, const LowRankInput<T>& low_rank, T scale,
                           bool contiguous, MatrixRef<T> dx) {
  using Kernel = KernelPanels<T, Right>;
  const Index channels = dx.cols();
  const Kernel kernel{right, &phase, dy.cols(), channels, row_scale};
  // A band of rows makes its panels anew; from the second on it pays to keep them.
  const Index depth = phase.taps.taps() * dy.cols(), rows = phase.taps.rows();
  if (rows <= std::min(places_at_once(depth), PanelTasks<T>(rows, channels).band))
    return for_each_phase_band<T>(
        phase, dy, low_rank, scale, contiguous, dx,
        [&](MatrixRef<T> out, const PackedLeft<T>& packed, const LowRankProduct<T>& part) {
          panel_product<T>(out, {false, nullptr}, Product<T, Kernel>{packed, kernel}, part);
        });
  // 64 columns are 48 and 16, and tiles of one vector take as long as those of two: so 32 and 32.
  constexpr Index wide = TileShape<T>::columns;
  const bool splits = channels > wide && channels % wide == Simd<T>::width;
  const Index half = splits ? 2 * Simd<T>::width : 0, main = channels - 2 * half;
  Scratch scratch;
  const auto prepare = [&](Index first, Index count) {
    return PreparedPanels<T>(ShiftedPanels<T, Kernel>{kernel, first}, depth, count, scratch);
  };
  const std::array prepared{prepare(0, main), prepare(main, half), prepare(main + half, half)};
  for_each_phase_band<T>(
      phase, dy, low_rank, scale, contiguous, dx,
      [&](MatrixRef<T> out, const PackedLeft<T>& packed, const LowRankProduct<T>& part) {
        Index first = 0;
        for (const PreparedPanels<T>& panels : prepared) {
          if (panels.columns() == 0) continue;
          LowRankProduct<T> some = part;
          if (part.left.depth > 0) some.right.columns = part.right.columns.from(first, 0);
          panel_product<T>(out.middleCols(first, panels.columns()), {false, nullptr},
                           Product<T, PreparedPanels<T>>{packed, panels}, some);
          first += panels.columns();
        }
      });
}

}  // namespace detail

/// Computes the gradient dx (in.rows(), channels) of a convolution's input from dy (out.rows(),
/// out_channels): dx = dy diag(row_scale) * W + scale g * A, * the transposed convolution. `right`
/// is W (out, taps * channels) as a right side, row_scale (out) may be null; low_rank.xa is g
/// (out.rows(), R), low_rank.a the A (R, taps * channels). Pixels that no window reaches get zeros.
template <class T, class Right>
requires PanelSource<Right, T>
void conv2d_input_gradient(const Window& window, const ImageShape& in, const ImageShape& out,
                           const ConstMatrixRef<T>& dy, const Right& right, const T* row_scale,
                           const LowRankInput<T>& low_rank, T scale, MatrixRef<T> dx) {
  const bool contiguous = window.stride_height == 1 && window.stride_width == 1;
  for (Index y = 0; y < std::min(window.stride_height, in.height); ++y)
    for (Index x = 0; x < std::min(window.stride_width, in.width); ++x) {
      const Phase phase(window, in, out, y, x);
      if (phase.taps.taps() > 0) {
        detail::conv2d_phase_gradient<T>(phase, dy, right, row_scale, low_rank, scale, contiguous,
                                         dx);
        continue;
      }
      for (Index row = 0; row < phase.taps.rows(); ++row) dx.row(phase.input_row(row)).setZero();
    }
}

/// Adds alpha * left^T patches to the gradient of a kernel, dw (M, taps * channels): left (places,
/// M) is dy, or what a low-rank path makes of it. x (pixels, channels) are the images.
template <class T>
void add_conv2d_kernel_gradient(const Window& window, const ImageShape& in, const ImageShape& out,
                                const ConstMatrixRef<T>& left, const ConstMatrixRef<T>& x, T alpha,
                                MatrixRef<T> dw) {
  if (left.cols() == 0 || out.rows() == 0) return;
  // Some images at a time, so that what is packed of `left` stays small.
  const Index places = out.height * out.width, pixels = in.height * in.width;
  const Index step =
      std::max<Index>(1, (Index{1} << 20) / std::max<Index>(1, places * left.cols()));
  for (Index image = 0; image < in.images; image += step) {
    ImageShape some_in = in, some_out = out;
    some_in.images = some_out.images = std::min(step, in.images - image);
    const PatchPanels<T> patches(x.middleRows(image * pixels, some_in.rows()),
                                 window_taps(window, some_in, some_out));
    add_panel_product<T>(
        MatrixRows<T>::transposed(left.middleRows(image * places, some_out.rows())), patches, alpha,
        dw);
  }
}

}  // namespace lora::kernels
