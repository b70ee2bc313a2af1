#pragma once

#include <memory>
#include <utility>

#include "lora/core/matrix.hpp"

namespace lora {

/// A row-major matrix (rows, cols) that owns its memory and keeps its shape for life, so that what
/// depends on the shape (a layer, an optimizer's moments) stays right. It reads and writes like any
/// Eigen matrix; assigning one of another shape throws ShapeError and changes nothing.
///
/// There is no move, after which a gradient would have lost its shape: std::move copies. A
/// Parameter that moves takes the memory along.
template <class T>
class FixedMatrix : public MatrixRef<T> {
 public:
  using View = MatrixRef<T>;

  /// Makes an empty matrix (0, 0).
  FixedMatrix() : View(nullptr, 0, 0, 0) {}

  /// Takes the shape and the elements of `initial`.
  FixedMatrix(Matrix<T> initial) : FixedMatrix() { take(std::move(initial)); }

  FixedMatrix(const FixedMatrix& other) : FixedMatrix(other.storage_) {}
  ~FixedMatrix() = default;

  /// Overwrites the elements. Throws ShapeError for another shape.
  template <class Derived>
  FixedMatrix& operator=(const Eigen::DenseBase<Derived>& other) {
    require_shape(other.derived(), this->rows(), this->cols(), "FixedMatrix", "the new value");
    View::operator=(other.derived());
    return *this;
  }

  FixedMatrix& operator=(const FixedMatrix& other) {
    operator=(static_cast<const Eigen::DenseBase<typename View::Base>&>(other));
    return *this;
  }

  /// Exchanges memory with `other`. Throws ShapeError for another shape.
  void swap(FixedMatrix& other) {
    require_shape(other, this->rows(), this->cols(), "FixedMatrix::swap", "the other matrix");
    exchange(other);
  }

  void resize(Index rows, Index cols) = delete;
  void resize(Index size) = delete;

 private:
  template <class>
  friend class Parameter;

  void exchange(FixedMatrix& other) noexcept {
    storage_.swap(other.storage_);
    look_at_storage();
    other.look_at_storage();
  }

  void take(Matrix<T> matrix) noexcept {
    storage_.swap(matrix);
    look_at_storage();
  }

  // The way that Eigen documents for changing what a Map looks at.
  void look_at_storage() noexcept {
    std::construct_at(static_cast<View*>(this), storage_.data(), storage_.rows(), storage_.cols(),
                      storage_.cols());
  }

  Matrix<T> storage_;
};

}  // namespace lora
