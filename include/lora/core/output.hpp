#pragma once

#include <functional>
#include <initializer_list>

#include "lora/core/matrix.hpp"

namespace lora {

/// Tells whether any element of `a` may be one of `b`: their ranges from the first element to the
/// last overlap, and they are not different columns of one matrix.
template <class T>
[[nodiscard]] bool overlap(ConstMatrixRef<T> a, ConstMatrixRef<T> b) {
  if (a.size() == 0 || b.size() == 0) return false;
  const auto end = [](const ConstMatrixRef<T>& m) {
    return m.data() + (m.rows() - 1) * m.outerStride() + m.cols();
  };
  const std::less<const T*> before;  // an order of all pointers
  if (!before(a.data(), end(b)) || !before(b.data(), end(a))) return false;
  const Index stride = a.outerStride();
  if (stride != b.outerStride() || stride < a.cols() || stride < b.cols()) return true;
  // Where the columns of b begin, counted from the first of a's, around the end of a row.
  const Index first = ((b.data() - a.data()) % stride + stride) % stride;
  return first < a.cols() || first + b.cols() > stride;
}

/// The place where a function puts a matrix: a `Matrix<T>` of the caller's, which is resized, or
/// memory of the caller's (`MatrixRef<T>`, a block, a map), which has to be of the right shape.
/// Passed by value; made from either without a word.
template <class T>
class Output {
 public:
  /// Writes to `matrix`, which is resized.
  Output(Matrix<T>& matrix) : matrix_(&matrix), view_(matrix) {}

  /// Writes to what `view` looks at.
  Output(MatrixRef<T> view) : view_(view) {}

  /// Writes to a block or a map.
  template <class Derived>
  requires(RowMajorWritable<Derived, T> &&
           !std::is_base_of_v<Eigen::PlainObjectBase<Derived>, Derived>)
      Output(const Eigen::MatrixBase<Derived>& view)
      : view_(view) {}

  Output(const Output&) = default;
  /// Deleted: it would write one output's elements to the other's memory.
  Output& operator=(const Output&) = delete;

  /// Returns the (rows, cols) matrix to write to, resized or checked. Throws ShapeError, naming
  /// `where` and `what`, for memory of another shape. `inputs` are what the function reads while it
  /// writes: ShapeError if one overlaps the output. Nothing has changed when it throws.
  template <class Where>
  [[nodiscard]] MatrixRef<T> shaped(Index rows, Index cols, const Where& where, const char* what,
                                    std::initializer_list<ConstMatrixRef<T>> inputs = {}) const {
    check(rows, cols, where, what, inputs);
    if (matrix_ == nullptr) return view_;
    matrix_->resize(rows, cols);
    return *matrix_;
  }

  /// Throws what `shaped` throws, and changes nothing.
  template <class Where>
  void check(Index rows, Index cols, const Where& where, const char* what,
             std::initializer_list<ConstMatrixRef<T>> inputs = {}) const {
    if (matrix_ == nullptr) require_shape(view_, rows, cols, where, what);
    for (const ConstMatrixRef<T>& input : inputs)
      if (overlap<T>(view_, input))
        throw ShapeError(message(where, ": ", what,
                                 " overlaps an input that is read while it is written: give it "
                                 "memory of its own"));
  }

  /// Tells whether this and `other` would be written to the same memory.
  [[nodiscard]] bool shares_memory_with(const Output& other) const {
    return (matrix_ != nullptr && matrix_ == other.matrix_) || overlap<T>(view_, other.view_);
  }

  /// Tells whether the output is `input` itself, element for element.
  [[nodiscard]] bool is(ConstMatrixRef<T> input) const {
    return view_.data() == input.data() && view_.rows() == input.rows() &&
           view_.cols() == input.cols() &&
           (view_.rows() <= 1 || view_.outerStride() == input.outerStride());
  }

  /// Returns the matrix to write to as `shaped` does, for a function that reads and writes element
  /// by element: the output may also be one of `inputs` itself. Throws ShapeError where it overlaps
  /// one in another way.
  template <class Where>
  [[nodiscard]] MatrixRef<T> shaped_elementwise(
      Index rows, Index cols, const Where& where, const char* what,
      std::initializer_list<ConstMatrixRef<T>> inputs) const {
    check_elementwise(rows, cols, where, what, inputs);
    return shaped(rows, cols, where, what);
  }

  /// Throws what `shaped_elementwise` throws, and changes nothing.
  template <class Where>
  void check_elementwise(Index rows, Index cols, const Where& where, const char* what,
                         std::initializer_list<ConstMatrixRef<T>> inputs) const {
    check(rows, cols, where, what);
    for (const ConstMatrixRef<T>& input : inputs)
      if (!is(input)) check(rows, cols, where, what, {input});
  }

 private:
  Matrix<T>* matrix_ = nullptr;
  MatrixRef<T> view_;
};

/// Throws ShapeError, naming `where`, if two of the outputs of one function share memory.
template <class T, class Where>
void require_apart(std::initializer_list<Output<T>> outputs, const Where& where) {
  for (auto one = outputs.begin(); one != outputs.end(); ++one)
    for (auto other = one + 1; other != outputs.end(); ++other)
      if (one->shares_memory_with(*other))
        throw ShapeError(
            message(where, ": two outputs overlap: give each of them memory of its own"));
}

}  // namespace lora
