#pragma once

#include <concepts>

#include "lora/core/matrix.hpp"
#include "lora/kernels/pack.hpp"

namespace lora::kernels {

/// The piece of a left side (rows, depth) that is packed for one tile.
struct LeftRequest {
  Index row;          ///< the first row
  Index rows;         ///< 1, 2, 4 or 8
  Index depth_begin;  ///< the first element of each, a multiple of depth_block
  Index depth;        ///< elements, at most depth_block
};

/// The left side (rows, depth) of a product, packed piece by piece before tiles read it: rows of a
/// matrix, or whatever can be computed in their place, such as the patches of an image.
///
///     pack(request, out):  out[k * request.rows + i] = element (row + i, depth_begin + k)
///
/// Calls come from several threads at once.
template <class S, class T>
concept LeftSource = requires(const S& source, const LeftRequest& request, T* out) {
  { source.rows() } -> std::convertible_to<Index>;
  { source.depth() } -> std::convertible_to<Index>;
  source.pack(request, out);
};

/// The rows of a matrix in memory, of either order, as a left side.
template <class T>
class MatrixRows {
 public:
  /// Views `rows` strips of `depth` elements.
  MatrixRows(const Strips<T>& strips, Index rows, Index depth)
      : strips_(strips), rows_(rows), depth_(depth) {}

  /// Views the rows of `matrix` (rows, depth).
  MatrixRows(const ConstMatrixRef<T>& matrix)
      : MatrixRows({matrix.data(), matrix.outerStride(), 1}, matrix.rows(), matrix.cols()) {}

  /// Views the columns of `matrix` (depth, rows): the rows of its transpose.
  [[nodiscard]] static MatrixRows transposed(const ConstMatrixRef<T>& matrix) {
    return {{matrix.data(), 1, matrix.outerStride()}, matrix.cols(), matrix.rows()};
  }

  [[nodiscard]] Index rows() const { return rows_; }
  [[nodiscard]] Index depth() const { return depth_; }

  void pack(const LeftRequest& request, T* out) const {
    pack_strips(strips_.from(request.row, request.depth_begin), request.rows, request.rows,
                request.depth, out);
  }

 private:
  Strips<T> strips_;
  Index rows_;
  Index depth_;
};

}  // namespace lora::kernels
