#pragma once

#include <concepts>
#include <cstddef>

#include "lora/core/matrix.hpp"
#include "lora/kernels/panels.hpp"

namespace lora {

/// A storage of a frozen weight W (out_features, in_features): whatever can add its product with
/// activations, x (N, in) and dy (N, out):
///
///     add_product(x, y):              y  += x W^T
///     add_transposed_product(dy, dx): dx += dy W
///
/// and give a dense copy of itself. Both products are const, safe to call from several threads,
/// check no shapes (the layer has), allocate nothing in a second call of the same shape, and give
/// the same bits for any number of threads. `bytes()` is the memory that the storage owns.
template <class W, class T = typename W::Scalar>
concept FrozenWeight = std::same_as<typename W::Scalar, T> &&
    requires(const W& weight, ConstMatrixRef<T> in, MatrixRef<T> out) {
  { weight.out_features() } -> std::convertible_to<Index>;
  { weight.in_features() } -> std::convertible_to<Index>;
  weight.add_product(in, out);
  weight.add_transposed_product(in, out);
  { weight.dense() } -> std::convertible_to<Matrix<T>>;
  { weight.bytes() } -> std::convertible_to<std::size_t>;
};

/// A right side of a product with a frozen weight, which says itself when to use it: `pays(rows)`
/// tells whether a product of so many rows is better made from panels than by the storage's own.
template <class P, class T>
concept WeightPanels = kernels::PanelSource<P, T> && requires(const P& panels, Index rows) {
  { panels.pays(rows) } -> std::convertible_to<bool>;
};

/// A FrozenWeight that gives the kernels its panels, so that a layer can add its low-rank path in
/// the same pass over the result:
///
///     panels():             W^T (in, out) as a right side
///     transposed_panels():  W (out, in) as a right side
template <class W, class T = typename W::Scalar>
concept PanelWeight = FrozenWeight<W, T> && requires(const W& weight) {
  { weight.panels() } -> WeightPanels<T>;
  { weight.transposed_panels() } -> WeightPanels<T>;
};

/// A FrozenWeight whose rows can be read one by one, as the embeddings of a language model whose
/// head is tied to them: copy_row(output, to) copies `in` numbers.
template <class W, class T = typename W::Scalar>
concept RowReadableWeight = FrozenWeight<W, T> && requires(const W& weight, Index output, T* to) {
  weight.copy_row(output, to);
};

/// A FrozenWeight that an adapter can be merged into:
///
///     add_low_rank(s, b, a): W += s B A, for b (out, R) and a (R, in)
///     assign(dense):         W = dense, to the last bit
///
/// `writable()` tells whether this object's memory may be written; the layer asks before merging.
template <class W, class T = typename W::Scalar>
concept MergeableWeight = FrozenWeight<W, T> &&
    requires(W& weight, T scale, ConstMatrixRef<T> matrix) {
  { weight.writable() } -> std::convertible_to<bool>;
  weight.add_low_rank(scale, matrix, matrix);
  weight.assign(matrix);
};

}  // namespace lora
