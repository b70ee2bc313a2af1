#pragma once

#include <cstddef>

#include "lora/core/matrix.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/kernels/product.hpp"

namespace lora {

/// The order of a weight (out, in) in memory.
enum class Layout {
  row_major,     ///< one output's weights side by side: PyTorch's Linear
  column_major,  ///< one input's weights side by side: PEFT's fan_in_fan_out, GPT-2's Conv1D
};

/// A view of a frozen weight W (out_features, in_features) in memory that the caller owns and that
/// outlives the view; nothing is copied.
///
/// A MappedWeight reads only. Merging an adapter into one is refused with StateError, whatever the
/// memory is: a file mapped read-only would crash the program if it were written. An
/// owner of memory that merge() may write says so with `writable`.
template <class T>
class MappedWeight {
 public:
  using Scalar = T;

  /// Borrows the (out, in) weight at `data`. `outer_stride` is the number of scalars from one row
  /// (column_major: column) to the next; 0 means that they are contiguous. Throws ShapeError for
  /// negative sizes, a stride shorter than a row, and a null pointer to a weight that is not empty.
  MappedWeight(const T* data, Index out_features, Index in_features,
               Layout layout = Layout::row_major, Index outer_stride = 0)
      : MappedWeight(data, nullptr, out_features, in_features, layout, outer_stride) {}

  /// Borrows memory that merge() and unmerge() may write; otherwise as the constructor.
  [[nodiscard]] static MappedWeight writable(T* data, Index out_features, Index in_features,
                                             Layout layout = Layout::row_major,
                                             Index outer_stride = 0) {
    return MappedWeight(data, data, out_features, in_features, layout, outer_stride);
  }

  [[nodiscard]] Index out_features() const { return out_; }
  [[nodiscard]] Index in_features() const { return in_; }

  /// Adds x W^T to y: x (N, in), y (N, out).
  void add_product(ConstMatrixRef<T> x, MatrixRef<T> y) const {
    if (layout_ == Layout::row_major)
      lora::add_product(y, T(1), x, stored().transpose());
    else
      lora::add_product(y, T(1), x, stored());
  }

  /// Adds dy W to dx: dy (N, out), dx (N, in).
  void add_transposed_product(ConstMatrixRef<T> dy, MatrixRef<T> dx) const {
    if (layout_ == Layout::row_major)
      lora::add_product(dx, T(1), dy, stored());
    else
      lora::add_product(dx, T(1), dy, stored().transpose());
  }

  /// Returns W^T (in, out) as the right side of products.
  [[nodiscard]] kernels::MatrixPanels<T> panels() const {
    return {kernels::columns_of(data_, stride_, layout_ == Layout::column_major)};
  }

  /// Returns W (out, in) as the right side of products.
  [[nodiscard]] kernels::MatrixPanels<T> transposed_panels() const {
    return {kernels::columns_of(data_, stride_, layout_ == Layout::row_major)};
  }

  /// Copies row `output` of W to `to`, `in` numbers: an embedding that a head is tied to.
  void copy_row(Index output, T* to) const {
    const bool rows = layout_ == Layout::row_major;
    for (Index i = 0; i < in_; ++i)
      to[i] = data_[rows ? output * stride_ + i : i * stride_ + output];
  }

  /// Returns a row-major copy of W.
  [[nodiscard]] Matrix<T> dense() const {
    return layout_ == Layout::row_major ? Matrix<T>(stored()) : Matrix<T>(stored().transpose());
  }

  /// Returns the bytes that this object owns of W: none.
  [[nodiscard]] std::size_t bytes() const { return 0; }

  /// Tells whether the memory was handed over as writable.
  [[nodiscard]] bool writable() const { return target_ != nullptr; }

  /// Adds scale * b a to W: b (out, R), a (R, in). Throws StateError unless writable.
  void add_low_rank(T scale, ConstMatrixRef<T> b, ConstMatrixRef<T> a) {
    require_writable("MappedWeight::add_low_rank");
    if (layout_ == Layout::row_major)
      lora::add_product(target(), scale, b, a);
    else
      lora::add_product(target(), scale, a.transpose(), b.transpose());
  }

  /// Overwrites W with `weight` (out, in). Throws StateError unless writable.
  void assign(ConstMatrixRef<T> weight) {
    require_writable("MappedWeight::assign");
    if (layout_ == Layout::row_major)
      target() = weight;
    else
      target() = weight.transpose();
  }

 private:
  MappedWeight(const T* data, T* target, Index out_features, Index in_features, Layout layout,
               Index outer_stride)
      : data_(data),
        target_(target),
        out_(out_features),
        in_(in_features),
        stride_(outer_stride),
        layout_(layout) {
    const Index row = stored_cols();
    if (stride_ == 0) stride_ = row;
    if (out_ < 0 || in_ < 0)
      throw ShapeError(message("MappedWeight: the shape is (", out_, ", ", in_,
                               "), expected sizes of at least 0"));
    if (stride_ < row)
      throw ShapeError(message("MappedWeight: outer_stride is ", stride_, ", expected at least ",
                               row, " for the shape (", out_, ", ", in_, ")"));
    if (data_ == nullptr && out_ > 0 && in_ > 0)
      throw ShapeError(message("MappedWeight: data is null, expected the memory of (", out_, ", ",
                               in_, ") scalars"));
  }

  [[nodiscard]] Index stored_rows() const { return layout_ == Layout::row_major ? out_ : in_; }
  [[nodiscard]] Index stored_cols() const { return layout_ == Layout::row_major ? in_ : out_; }

  // The memory as a row-major matrix: W, or its transpose where the layout is column-major.
  [[nodiscard]] ConstMatrixRef<T> stored() const {
    return {data_, stored_rows(), stored_cols(), stride_};
  }
  [[nodiscard]] MatrixRef<T> target() { return {target_, stored_rows(), stored_cols(), stride_}; }

  void require_writable(const char* where) const {
    if (!writable())
      throw StateError(message(where,
                               ": the memory is borrowed for reading only; "
                               "MappedWeight::writable(...) borrows it for writing"));
  }

  const T* data_;
  T* target_;
  Index out_;
  Index in_;
  Index stride_;
  Layout layout_;
};

}  // namespace lora
