#pragma once

#include "lora/core/matrix.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/packed_bands.hpp"
#include "lora/kernels/panel_product.hpp"
#include "lora/kernels/product.hpp"

namespace lora::kernels {

/// The low-rank part of a result (N, width): scale * left * factor, left (N, R), factor (R, width)
/// given as its columns. A left without columns means that there is none.
template <class T>
struct LowRankPart {
  ConstMatrixRef<T> left;
  Strips<T> factor;
  T scale;

  [[nodiscard]] bool exists() const { return left.cols() > 0; }
};

/// Computes rows [row, row + packed.rows) of out = start + packed * right + the low-rank part,
/// which joins each tile of the result in the registers: no second buffer of the result's size is
/// made, and none is read again. packed must have a depth. column_scale (width), where there is
/// one, multiplies packed * right.
template <class T, class Right>
requires PanelSource<Right, T>
void joined_band(const PackedLeft<T>& packed, const Right& right, const Start<T>& start,
                 const LowRankPart<T>& low_rank, Index row, MatrixRef<T> out,
                 const T* column_scale = nullptr) {
  const Product<T, Right> product{packed, right, T(1), column_scale};
  const MatrixRef<T> rows = out.middleRows(row, packed.rows);
  if (!low_rank.exists()) return panel_product<T>(rows, start, product);
  Scratch scratch;
  const MatrixRows<T> left(low_rank.left.middleRows(row, packed.rows));
  const Index size = packed_left_size(left.rows(), left.depth());
  T* const memory = scratch.take<T>(size);
  const PackedLeft<T> packed_low_rank = pack_left<T>(left, memory);
  // The scale goes into the smallest of the operands.
  for (Index i = 0; i < size; ++i) memory[i] *= low_rank.scale;
  panel_product<T>(rows, start, product, {packed_low_rank, {low_rank.factor}});
}

/// Computes out = start + left * right + the low-rank part; left must have a depth.
template <class T, class Source, class Right>
requires(LeftSource<Source, T>&& PanelSource<Right, T>) void joined_product(
    const Source& left, const Right& right, const Start<T>& start, const LowRankPart<T>& low_rank,
    MatrixRef<T> out) {
  for_each_packed_band<T>(left, [&](const PackedLeft<T>& packed, Index row) {
    joined_band(packed, right, start, low_rank, row, out);
  });
}

/// Adds the low-rank part to out by a product of its own.
template <class T>
void add_low_rank(const LowRankPart<T>& part, MatrixRef<T> out) {
  if (!part.exists()) return;
  const Strips<T>& f = part.factor;
  if (f.along == 1)
    add_product(out, part.scale, part.left,
                ConstMatrixRef<T>(f.data, out.cols(), part.left.cols(), f.across).transpose());
  else
    add_product(out, part.scale, part.left,
                ConstMatrixRef<T>(f.data, part.left.cols(), out.cols(), f.along));
}

}  // namespace lora::kernels
