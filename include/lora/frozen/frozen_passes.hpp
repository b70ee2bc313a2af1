#pragma once

#include "lora/core/matrix.hpp"
#include "lora/core/scratch.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/kernels/packed_bands.hpp"
#include "lora/kernels/panel_product.hpp"
#include "lora/kernels/product.hpp"

/// The passes of a LoRA layer over its frozen weight. The low-rank part joins each tile of the
/// result while it is in registers and caches, so no second buffer of the result's size is made
/// and none is read again.
namespace lora::frozen_passes {

/// Is the low-rank part of a result: scale * left * factor, left (N, R), factor (R, width of the
/// result) given as its columns. left without columns: there is none.
template <class T>
struct LowRankPart {
  ConstMatrixRef<T> left;
  kernels::Strips<T> factor;
  T scale;

  [[nodiscard]] bool exists() const { return left.cols() > 0; }
};

/// Computes rows [row, row + packed.rows) of out = start + packed * right + the low-rank part.
template <class T, class Right>
void band(const kernels::PackedLeft<T>& packed, const Right& right, const kernels::Start<T>& start,
          const LowRankPart<T>& low_rank, Index row, MatrixRef<T> out) {
  const kernels::Term<T, Right> frozen{packed, right, T(1)};
  const MatrixRef<T> rows = out.middleRows(row, packed.rows);
  if (!low_rank.exists()) return kernels::panel_product<T>(rows, start, frozen);
  Scratch scratch;
  const ConstMatrixRef<T> left = low_rank.left.middleRows(row, packed.rows);
  T* const memory = scratch.take<T>(kernels::packed_left_size(left.rows(), left.cols()));
  const kernels::Term<T, kernels::MatrixPanels<T>> term{
      kernels::pack_left<T>({left.data(), left.outerStride(), 1}, left.rows(), left.cols(), memory),
      {low_rank.factor},
      low_rank.scale};
  kernels::panel_product<T>(rows, start, frozen, term);
}

/// Computes out = start + left * right + the low-rank part.
template <class T, class Right>
void product(ConstMatrixRef<T> left, const Right& right, const kernels::Start<T>& start,
             const LowRankPart<T>& low_rank, MatrixRef<T> out) {
  kernels::for_each_packed_band<T>(left, [&](const kernels::PackedLeft<T>& packed, Index row) {
    band(packed, right, start, low_rank, row, out);
  });
}

/// Adds the low-rank part to out by a product of its own.
template <class T>
void add_low_rank(const LowRankPart<T>& part, MatrixRef<T> out) {
  if (!part.exists()) return;
  const kernels::Strips<T>& f = part.factor;
  if (f.along == 1)
    add_product(out, part.scale, part.left,
                ConstMatrixRef<T>(f.data, out.cols(), part.left.cols(), f.across).transpose());
  else
    add_product(out, part.scale, part.left,
                ConstMatrixRef<T>(f.data, part.left.cols(), out.cols(), f.along));
}

/// Computes y = bias + x W^T + the low-rank part, bias a row (out) or null.
template <class T, class Frozen>
void forward(const Frozen& weight, ConstMatrixRef<T> x, const T* bias,
             const LowRankPart<T>& low_rank, MatrixRef<T> y) {
  if constexpr (PanelWeight<Frozen, T>)
    if (weight.panels_pay(x.rows()) && y.size() > 0 && x.cols() > 0)
      return product<T>(x, weight.panels(), {false, bias}, low_rank, y);
  if (bias != nullptr)
    y.rowwise() = ConstMatrixRef<T>(bias, 1, y.cols(), y.cols()).row(0);
  else
    y.setZero();
  weight.add_product(x, y);
  add_low_rank(low_rank, y);
}

/// Computes dx = dy W + the low-rank part, or adds that to dx.
template <class T, class Frozen>
void backward(const Frozen& weight, ConstMatrixRef<T> dy, const LowRankPart<T>& low_rank,
              MatrixRef<T> dx, bool add = false) {
  if constexpr (PanelWeight<Frozen, T>)
    if (dy.rows() > 1 && dx.size() > 0 && dy.cols() > 0)
      return product<T>(dy, weight.transposed_panels(), {add, nullptr}, low_rank, dx);
  if (!add) dx.setZero();
  weight.add_transposed_product(dy, dx);
  add_low_rank(low_rank, dx);
}

}  // namespace lora::frozen_passes
