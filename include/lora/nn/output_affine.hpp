#pragma once

#include <utility>

#include "lora/core/elementwise.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/scratch.hpp"

namespace lora {

/// An affine map of each output of a layer, y = scale * z + shift, which a layer computes in its
/// own pass over z: a batch norm whose statistics are frozen. Or none.
template <class T>
class OutputAffine {
 public:
  /// Takes the map, or with two empty vectors none. Throws ShapeError, naming `where`, unless both
  /// have `outputs` elements or none.
  template <class Where>
  void set(Vector<T> scale, Vector<T> shift, Index outputs, const Where& where) {
    const bool none = scale.size() == 0 && shift.size() == 0;
    if (!none && (scale.size() != outputs || shift.size() != outputs))
      throw ShapeError(message(where, ": scale has ", scale.size(), " elements and shift ",
                               shift.size(), ", expected ", outputs, " each, or none"));
    scale_ = std::move(scale);
    shift_ = std::move(shift);
  }

  [[nodiscard]] bool exists() const { return scale_.size() != 0; }

  /// Returns the factors, or null.
  [[nodiscard]] const T* scale() const { return exists() ? scale_.data() : nullptr; }

  /// Returns what y starts from for a layer with this bias (or null): bias, or scale * bias +
  /// shift.
  [[nodiscard]] const T* start_row(const T* bias, Index outputs, Scratch& scratch) const {
    if (!exists()) return bias;
    T* const row = scratch.take<T>(outputs);
    for (Index o = 0; o < outputs; ++o)
      row[o] = shift_[o] + (bias != nullptr ? scale_[o] * bias[o] : T(0));
    return row;
  }

  /// Returns diag(scale) b, for b (outputs, R): `b` itself where there is no map.
  [[nodiscard]] ConstMatrixRef<T> scaled_rows(const ConstMatrixRef<T>& b, Scratch& scratch) const {
    if (!exists()) return b;
    MatrixRef<T> scaled = scratch.matrix<T>(b.rows(), b.cols());
    for (Index o = 0; o < b.rows(); ++o) scaled.row(o) = scale_[o] * b.row(o);
    return scaled;
  }

  /// Returns dy diag(scale) for dy (N, outputs). There is a map.
  [[nodiscard]] ConstMatrixRef<T> scaled_columns(const ConstMatrixRef<T>& dy,
                                                 Scratch& scratch) const {
    MatrixRef<T> scaled = scratch.matrix<T>(dy.rows(), dy.cols());
    for_each_row(dy.rows(), dy.cols(), 2,
                 [&](Index i) { scaled.row(i) = dy.row(i).cwiseProduct(scale_.transpose()); });
    return scaled;
  }

  /// Multiplies b (R, outputs) by diag(scale) from the right. There is a map.
  void scale_columns(MatrixRef<T> b) const {
    for (Index r = 0; r < b.rows(); ++r) b.row(r).array() *= scale_.transpose().array();
  }

  /// Adds diag(scale) b to sum (outputs, R). There is a map.
  void add_scaled_rows(const ConstMatrixRef<T>& b, MatrixRef<T> sum) const {
    for (Index o = 0; o < b.rows(); ++o) sum.row(o) += scale_[o] * b.row(o);
  }

 private:
  Vector<T> scale_;
  Vector<T> shift_;
};

}  // namespace lora
