#pragma once

#include <Eigen/Core>
#include <string>
#include <string_view>
#include <type_traits>

#include "lora/core/error.hpp"

namespace lora {

using Index = Eigen::Index;

static_assert(sizeof(Index) == 8,
              "lora computes on 64-bit machines alone: a model's weights and "
              "files are larger than what 32 bits count");

/// A row-major matrix that owns its memory: PyTorch's layout. Activations are (tokens, features).
template <class T>
using Matrix = Eigen::Matrix<T, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

/// A column vector that owns its memory: a bias, labels' weights.
template <class T>
using Vector = Eigen::Matrix<T, Eigen::Dynamic, 1>;

/// Is satisfied by an Eigen expression that lies row by row in memory with scalars T next to each
/// other: `Matrix<T>`, a block or some rows of one, a row vector, an `Eigen::Map` of the same kind.
/// A column-major matrix or an unevaluated expression is not one: `Eigen::Ref<const ...>` would
/// copy it silently, here it does not compile.
template <class Derived, class T>
concept RowMajorReadable = std::is_same_v<typename Derived::Scalar, T> &&
                           bool(Derived::IsRowMajor) &&
                           (int(Derived::Flags) & int(Eigen::DirectAccessBit)) != 0 &&
                           int(Derived::InnerStrideAtCompileTime) == 1;

/// Is satisfied by every other expression: a function that takes ConstMatrixRef refuses it by this
/// name. Copy such an argument into a `Matrix<T>` where that is what you want.
template <class Derived, class T>
concept WouldHaveToBeCopied = !RowMajorReadable<Derived, T>;

/// Is satisfied by a RowMajorReadable that may be written through.
template <class Derived, class T>
concept RowMajorWritable = RowMajorReadable<Derived, T> &&
                           (int(Derived::Flags) & int(Eigen::LvalueBit)) != 0;

/// Views a row-major matrix or a block of one without copying; passed by value.
template <class T>
class ConstMatrixRef : public Eigen::Map<const Matrix<T>, Eigen::Unaligned, Eigen::OuterStride<>> {
 public:
  using Base = Eigen::Map<const Matrix<T>, Eigen::Unaligned, Eigen::OuterStride<>>;

  /// Views rows x cols scalars at `data`, `outer_stride` scalars from one row to the next.
  ConstMatrixRef(const T* data, Index rows, Index cols, Index outer_stride)
      : Base(data, rows, cols, Eigen::OuterStride<>(outer_stride)) {}

  /// Views `matrix`, which must outlive the view.
  template <class Derived>
  requires RowMajorReadable<Derived, T> ConstMatrixRef(const Eigen::MatrixBase<Derived>& matrix)
      : ConstMatrixRef(matrix.derived().data(), matrix.rows(), matrix.cols(),
                       matrix.derived().outerStride()) {}

  // Deleted, not absent, so that the compiler's message shows the reason.
  template <class Derived>
  requires WouldHaveToBeCopied<Derived, T> ConstMatrixRef(const Eigen::MatrixBase<Derived>&)
  = delete;
};

/// Views a row-major matrix or a block of one for writing; it never resizes what it views.
/// Assigning to it writes the elements.
template <class T>
class MatrixRef : public Eigen::Map<Matrix<T>, Eigen::Unaligned, Eigen::OuterStride<>> {
 public:
  using Base = Eigen::Map<Matrix<T>, Eigen::Unaligned, Eigen::OuterStride<>>;
  using Base::operator=;

  /// Views rows x cols scalars at `data`, `outer_stride` scalars from one row to the next.
  MatrixRef(T* data, Index rows, Index cols, Index outer_stride)
      : Base(data, rows, cols, Eigen::OuterStride<>(outer_stride)) {}

  /// Views `matrix`, which must outlive the view.
  MatrixRef(Matrix<T>& matrix)
      : MatrixRef(matrix.data(), matrix.rows(), matrix.cols(), matrix.outerStride()) {}

  /// Views what `view`, itself a block or a map, looks at.
  template <class Derived>
  requires(RowMajorWritable<Derived, T> &&
           !std::is_base_of_v<Eigen::PlainObjectBase<Derived>, Derived>)
      MatrixRef(const Eigen::MatrixBase<Derived>& view)
      : MatrixRef(const_cast<T*>(view.derived().data()), view.rows(), view.cols(),
                  view.derived().outerStride()) {}

  MatrixRef(const MatrixRef&) = default;
  MatrixRef& operator=(const MatrixRef& other) {
    Base::operator=(other);
    return *this;
  }
};

/// Returns "(rows, cols)" for messages.
template <class Derived>
[[nodiscard]] std::string shape_of(const Eigen::EigenBase<Derived>& matrix) {
  return message("(", matrix.rows(), ", ", matrix.cols(), ")");
}

/// Throws ShapeError unless `matrix` has the given shape; `where` names the caller (a text or a
/// Place), `what` the argument, and the names, where given, explain the numbers:
/// "LoRALinear::backward: dy is (3, 4), expected (3, out_features = 8)".
template <class Derived, class Where>
void require_shape(const Eigen::EigenBase<Derived>& matrix, Index rows, Index cols,
                   const Where& where, std::string_view what, std::string_view rows_name = {},
                   std::string_view cols_name = {}) {
  if (matrix.rows() == rows && matrix.cols() == cols) return;
  const auto number = [](Index value, std::string_view name) {
    return name.empty() ? message(value) : message(name, " = ", value);
  };
  throw ShapeError(message(where, ": ", what, " is ", shape_of(matrix), ", expected (",
                           number(rows, rows_name), ", ", number(cols, cols_name), ")"));
}

/// Throws ShapeError unless `matrix` has `cols` columns, which `name` explains in the message.
template <class Derived, class Where>
void require_cols(const Eigen::EigenBase<Derived>& matrix, Index cols, const Where& where,
                  std::string_view what, std::string_view name) {
  if (matrix.cols() != cols)
    throw ShapeError(message(where, ": ", what, " is ", shape_of(matrix), ", expected (N, ", name,
                             " = ", cols, ")"));
}

}  // namespace lora
