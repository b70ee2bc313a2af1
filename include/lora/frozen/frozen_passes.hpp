#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/kernels/joined_product.hpp"

/// The passes of a LoRA layer over its frozen weight, as its storage does them best: from panels,
/// which the low-rank part joins in the registers, or by the storage's own products and one more.
/// One rule serves both directions: the panels of each say themselves when they pay.
namespace lora::frozen_passes {

using kernels::LowRankPart;

/// Tells whether left (N, depth) times `right` (depth, width) is made from panels.
template <class T, class Right>
requires kernels::PanelSource<Right, T>
[[nodiscard]] bool from_panels(const ConstMatrixRef<T>& left, const Right& right, Index width) {
  return left.size() > 0 && width > 0 && right.pays(left.rows());
}

/// Tells whether `forward` makes x W^T from panels, so that weights of one x can share its packing.
template <class T, class Frozen>
[[nodiscard]] bool forward_from_panels(const Frozen& weight, const ConstMatrixRef<T>& x) {
  if constexpr (PanelWeight<Frozen, T>)
    return from_panels<T>(x, weight.panels(), weight.out_features());
  else
    return false;
}

/// Computes y = bias + x W^T + the low-rank part, bias a row (out) or null.
template <class T, class Frozen>
void forward(const Frozen& weight, ConstMatrixRef<T> x, const T* bias,
             const LowRankPart<T>& low_rank, MatrixRef<T> y) {
  if constexpr (PanelWeight<Frozen, T>)
    if (forward_from_panels<T>(weight, x))
      return kernels::joined_product<T>(kernels::MatrixRows<T>(x), weight.panels(), {false, bias},
                                        low_rank, y);
  if (bias == nullptr)
    y.setZero();
  else
    for (Index n = 0; n < y.rows(); ++n)
      std::copy_n(bias, y.cols(), y.data() + n * y.outerStride());
  weight.add_product(x, y);
  kernels::add_low_rank(low_rank, y);
}

/// Computes rows [row, row + packed.rows) of what `forward` does, where it does it from panels, for
/// an x that is packed already.
template <class T, class Frozen>
requires PanelWeight<Frozen, T>
void forward_band(const Frozen& weight, const kernels::PackedLeft<T>& packed, Index row,
                  const T* bias, const LowRankPart<T>& low_rank, MatrixRef<T> y) {
  kernels::joined_band<T>(packed, weight.panels(), {false, bias}, low_rank, row, y);
}

/// Computes dx = dy W + the low-rank part, or adds that to dx.
template <class T, class Frozen>
void backward(const Frozen& weight, ConstMatrixRef<T> dy, const LowRankPart<T>& low_rank,
              MatrixRef<T> dx, bool add = false) {
  if constexpr (PanelWeight<Frozen, T>)
    if (from_panels<T>(dy, weight.transposed_panels(), dx.cols()))
      return kernels::joined_product<T>(kernels::MatrixRows<T>(dy), weight.transposed_panels(),
                                        {add, nullptr}, low_rank, dx);
  if (!add) dx.setZero();
  weight.add_transposed_product(dy, dx);
  kernels::add_low_rank(low_rank, dx);
}

}  // namespace lora::frozen_passes
