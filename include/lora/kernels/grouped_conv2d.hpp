#pragma once

#include <algorithm>

#include "lora/core/image_shape.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/conv2d_product.hpp"
#include "lora/kernels/depthwise_conv2d.hpp"
#include "lora/kernels/image_padding.hpp"
#include "lora/kernels/joined_product.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/pixel_taps.hpp"
#include "lora/kernels/prepared_panels.hpp"
#include "lora/kernels/tile_shape.hpp"
#include "lora/kernels/window.hpp"

/// The products of a convolution in groups, each of which has channels of its own on both sides
/// (torch.nn.Conv2d's `groups`). W is (groups * out, taps * channels) for the out and channels of
/// one group, in the order of patches.
namespace lora::kernels {

/// The groups of a convolution: how many, and the channels of each on both sides.
struct ConvGroups {
  Index groups;
  Index channels;
  Index out;

  /// Tells whether each channel has a kernel of its own.
  [[nodiscard]] bool depthwise() const { return channels == 1 && out == 1; }

  /// Returns how many groups one product takes together, with zeros between them: as many as fit
  /// into a vector, which a group alone would not fill.
  template <class T>
  [[nodiscard]] Index at_once() const {
    return std::clamp<Index>(Simd<T>::width / std::max(out, channels), 1, groups);
  }
};

/// Some neighbouring groups of a convolution.
struct GroupRun {
  ConvGroups all;
  Index first;
  Index count;

  [[nodiscard]] Index channels() const { return count * all.channels; }
  [[nodiscard]] Index out() const { return count * all.out; }
  [[nodiscard]] Index first_channel() const { return first * all.channels; }
  [[nodiscard]] Index first_out() const { return first * all.out; }
};

namespace detail {

/// Calls use(group, first, count) for each group that elements [begin, begin + size) of a run
/// belong to, `each` in a group: `count` of them from number `first` of the group on.
template <class Use>
void for_each_group(Index begin, Index size, Index each, const Use& use) {
  for (Index at = begin, end = begin + size; at < end;) {
    const Index group = at / each, next = std::min((group + 1) * each, end);
    use(group, at - group * each, next - at);
    at = next;
  }
}

/// Copies rows [row, row + rows) of columns [column, column + columns) of a right side of `width`
/// columns to `to`, `stride` apart: from the panels that a product would ask for.
template <class T, class Right>
void copy_columns(const Right& right, Index width, Index row, Index rows, Index column,
                  Index columns, T* to, Index stride) {
  constexpr Index tile = TileShape<T>::columns;
  Scratch scratch;
  T* const buffer = scratch.take<T>(std::min(rows, depth_block) * tile);
  for (Index first = column / tile * tile; first < column + columns; first += tile)
    for (Index done = 0; done < rows; done += depth_block) {
      const Index deep = std::min(depth_block, rows - done);
      const Panel<T> panel =
          right.panel({first, std::min(tile, width - first), row + done, deep, 1}, buffer);
      const Index begin = std::max(first, column), end = std::min(first + tile, column + columns);
      for (Index i = 0; i < deep; ++i)
        std::copy_n(panel.data + i * panel.stride + (begin - first), end - begin,
                    to + (done + i) * stride + (begin - column));
      if constexpr (ScaledPanelSource<Right, T>)
        for (Index i = 0; i < deep; ++i)
          for (Index c = begin; c < end; ++c)
            to[(done + i) * stride + (c - column)] *= right.column_scale()[c];
    }
}

}  // namespace detail

/// The right side W^T (taps * channels, out) of a run of groups: rows (t, c) as patches have them,
/// zeros where channel and output are of two groups. `right` is W^T of all groups, (taps * channels
/// of one, out of all).
template <class T, class Right>
requires PanelSource<Right, T>
struct GroupPanels {
  Right right;
  GroupRun run;

  [[nodiscard]] Panel<T> panel(const PanelRequest& request, T* buffer) const {
    const Index wide = round_up(request.columns, Simd<T>::width), channels = run.all.channels;
    std::fill_n(buffer, request.depth * wide, T(0));
    const auto from_group = [&](Index group, Index output, Index outputs) {
      // This group's rows of one tap lie side by side.
      for (Index k = request.depth_begin, end = k + request.depth; k < end;) {
        const Index tap = k / run.channels(), begin = tap * run.channels() + group * channels;
        const Index first = std::max(k, begin), last = std::min(end, begin + channels);
        if (first < last)
          detail::copy_columns<T>(right, run.all.groups * run.all.out,
                                  tap * channels + (first - begin), last - first,
                                  (run.first + group) * run.all.out + output, outputs,
                                  buffer + (first - request.depth_begin) * wide +
                                      (group * run.all.out + output - request.column),
                                  wide);
        k = (tap + 1) * run.channels();
      }
    };
    detail::for_each_group(request.column, request.columns, run.all.out, from_group);
    return {buffer, wide};
  }
};

/// The right side W (out, taps * channels) of a run of groups, by which gradients go back; columns
/// are asked for within one tap. `right` is W of all groups, (out of all, taps * channels of one).
template <class T, class Right>
requires PanelSource<Right, T>
struct GroupRows {
  Right right;
  GroupRun run;

  [[nodiscard]] Panel<T> panel(const PanelRequest& request, T* buffer) const {
    const Index wide = round_up(request.columns, Simd<T>::width), channels = run.all.channels;
    const Index tap = request.column / run.channels(), column = request.column % run.channels();
    std::fill_n(buffer, request.depth * wide, T(0));
    Scratch scratch;
    T* const piece = scratch.take<T>(request.depth * TileShape<T>::columns);
    detail::for_each_group(column, request.columns, channels, [&](Index group, Index c, Index n) {
      // The outputs of this group among those asked for.
      const Index begin = std::max(request.depth_begin, group * run.all.out);
      const Index end = std::min(request.depth_begin + request.depth, (group + 1) * run.all.out);
      if (begin >= end) return;
      const Panel<T> from =
          right.panel({tap * channels + c, n, run.first_out() + begin, end - begin, 1}, piece);
      T* const to = buffer + (begin - request.depth_begin) * wide + (group * channels + c - column);
      for (Index i = 0; i < end - begin; ++i)
        std::copy_n(from.data + i * from.stride, n, to + i * wide);
    });
    return {buffer, wide};
  }
};

namespace detail {

template <class Use>
void for_each_run(const ConvGroups& groups, Index at_once, const Use& use) {
  for (Index first = 0; first < groups.groups; first += at_once)
    use(GroupRun{groups, first, std::min(at_once, groups.groups - first)});
}

// W (taps, groups) of a depthwise convolution, its columns times `scale` unless that is null.
template <class T, class Right>
MatrixRef<T> depthwise_kernel(const ConvGroups& groups, const Right& right, Index taps,
                              const T* scale, Scratch& scratch) {
  MatrixRef<T> kernel = scratch.matrix<T>(taps, groups.groups);
  copy_columns<T>(right, groups.groups, 0, taps, 0, groups.groups, kernel.data(),
                  kernel.outerStride());
  if (scale != nullptr)
    kernel.array().rowwise() *=
        ConstMatrixRef<T>(scale, 1, groups.groups, groups.groups).row(0).array();
  return kernel;
}

}  // namespace detail

/// Computes y = bias + column_scale * (patches of each group) W^T + low_rank: images (pixels,
/// groups times channels), y (places, groups * out), bias and column_scale rows as wide as y, or
/// null. `right` is W^T (taps * channels, groups * out). The factor of `low_rank` (R, groups * out)
/// has blocks of R / groups rows on its diagonal, and zeros elsewhere.
template <class T, class Right>
requires PanelSource<Right, T>
void grouped_conv2d_forward(const ConstMatrixRef<T>& images, const PixelTaps& taps,
                            const ConvGroups& groups, const Right& right, const T* bias,
                            const T* column_scale, const LowRankPart<T>& low_rank, MatrixRef<T> y) {
  Scratch scratch;
  if (groups.depthwise()) {
    const ConstMatrixRef<T> kernel =
        detail::depthwise_kernel<T>(groups, right, taps.taps(), column_scale, scratch);
    depthwise_product<T>(
        images, taps, kernel, [](Index tap) { return tap; }, bias, [](Index row) { return row; },
        y);
    return add_low_rank(low_rank, y);
  }
  const Index rank = low_rank.left.cols() / groups.groups;
  const ConstMatrixRef<T> none(nullptr, 0, 0, 0);
  detail::for_each_run(groups, groups.at_once<T>(), [&](const GroupRun& run) {
    const Index out = run.first_out(), first = run.first * rank;
    Scratch inner;
    const PreparedPanels<T> panels(GroupPanels<T, Right>{right, run}, taps.taps() * run.channels(),
                                   run.out(), inner);
    const LowRankPart<T> part =
        low_rank.exists() ? LowRankPart<T>{low_rank.left.middleCols(first, run.count * rank),
                                           low_rank.factor.from(out, first), low_rank.scale}
                          : low_rank;
    MatrixRef<T> to = y.middleCols(out, run.out());
    conv2d_forward<T>(PatchRows<T>(images.middleCols(run.first_channel(), run.channels()), taps),
                      panels, bias == nullptr ? nullptr : bias + out,
                      column_scale == nullptr ? nullptr : column_scale + out,
                      {none, to.leftCols(0)}, part, to);
  });
}

/// Computes the gradient dx (in.rows(), groups * channels) of images, as they were before their
/// padding, from dy (out.rows(), groups * out): dy diag(row_scale) back through W of each group.
/// `right` is W^T (taps * channels, groups * out), `transposed` W as a right side; row_scale as
/// wide as dy, or null.
template <class T, class Right, class Transposed>
requires(PanelSource<Right, T>&& PanelSource<Transposed, T>) void grouped_conv2d_images_gradient(
    const Window& window, const ImageShape& in, const ImageShape& out, const ConvGroups& groups,
    const ConstMatrixRef<T>& dy, const Right& right, const Transposed& transposed,
    const T* row_scale, MatrixRef<T> dx) {
  Scratch scratch;
  if (pads_with_pixels(window)) {
    const ImageShape size = padded_shape(window, in);
    MatrixRef<T> dpadded = scratch.matrix<T>(size.rows(), dx.cols());
    grouped_conv2d_images_gradient<T>(without_padding(window), size, out, groups, dy, right,
                                      transposed, row_scale, dpadded);
    return fold_padding<T>(window, in, dpadded, dx);
  }
  if (groups.depthwise()) {
    const ConstMatrixRef<T> kernel =
        detail::depthwise_kernel<T>(groups, right, window.taps(), row_scale, scratch);
    for (Index y = 0; y < std::min(window.stride_height, in.height); ++y)
      for (Index x = 0; x < std::min(window.stride_width, in.width); ++x) {
        const Phase phase(window, in, out, y, x);
        depthwise_product<T>(
            dy, phase.taps, kernel, [&](Index tap) { return phase.kernel_tap(tap); }, nullptr,
            [&](Index row) { return phase.input_row(row); }, dx);
      }
    return;
  }
  detail::for_each_run(groups, groups.at_once<T>(), [&](const GroupRun& run) {
    MatrixRef<T> to = dx.middleCols(run.first_channel(), run.channels());
    conv2d_input_gradient<T>(window, in, out, dy.middleCols(run.first_out(), run.out()),
                             GroupRows<T, Transposed>{transposed, run},
                             row_scale == nullptr ? nullptr : row_scale + run.first_out(),
                             {ConstMatrixRef<T>(nullptr, 0, 0, 0), to.leftCols(0)}, T(0), to);
  });
}

/// Writes b (out of all, R / groups) as the blocks on the diagonal of `full` (out of all, R).
template <class T>
void to_block_diagonal(const ConstMatrixRef<T>& b, Index groups, MatrixRef<T> full) {
  const Index out = b.rows() / groups;
  full.setZero();
  for (Index g = 0; g < groups; ++g)
    full.block(g * out, g * b.cols(), out, b.cols()) = b.middleRows(g * out, out);
}

/// Adds the blocks on the diagonal of `full` (out of all, R) to b (out of all, R / groups).
template <class T>
void add_diagonal_blocks(const ConstMatrixRef<T>& full, Index groups, MatrixRef<T> b) {
  const Index out = b.rows() / groups;
  for (Index g = 0; g < groups; ++g)
    b.middleRows(g * out, out) += full.block(g * out, g * b.cols(), out, b.cols());
}

}  // namespace lora::kernels
