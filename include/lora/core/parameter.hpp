#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/fixed_matrix.hpp"
#include "lora/core/trainable_scalar.hpp"

namespace lora {

/// What tells one parameter from every other, whatever their names: moves with the parameter, and
/// a copy of the parameter has another. Whoever keeps one (as an optimizer does) never meets it
/// again on a parameter that was made later.
class ParameterIdentity {
 public:
  /// Makes an identity that no other has.
  ParameterIdentity() : token_(std::make_shared<const char>()) {}

  // Copies, with std::move too: one that lost its token would be the same as all others that did.
  ParameterIdentity(const ParameterIdentity&) = default;
  ParameterIdentity& operator=(const ParameterIdentity&) = default;
  ~ParameterIdentity() = default;

  /// Returns an address that stands for this identity as long as anybody remembers it.
  [[nodiscard]] const void* key() const { return token_.get(); }

  /// Remembers the identity without keeping the parameter's.
  [[nodiscard]] std::weak_ptr<const void> remember() const { return token_; }

 private:
  std::shared_ptr<const char> token_;
};

/// Something that trains: a matrix (a vector is (1, n)), its gradient of the same shape, and the
/// name that files, patterns and optimizer groups know it by, as PEFT and PyTorch write it:
/// `encoder.layer.0.attention.self.query.lora_A.weight`.
///
/// Its shape is fixed. A copy is another parameter. What is moved from is another one too, empty
/// and without a name.
template <class T>
class Parameter {
  static_assert(require_trainable_scalar<T>());

 public:
  using Scalar = T;

  Parameter() = default;

  /// Takes `initial`, with a gradient of zeros.
  Parameter(std::string parameter_name, Matrix<T> initial)
      : name(std::move(parameter_name)),
        value(std::move(initial)),
        grad(Matrix<T>::Zero(value.rows(), value.cols())) {}

  /// Does the same for what is no matrix elsewhere: `shape` is what files say, (n) of a vector
  /// (1, n), (out, in, height, width) of a kernel. Throws ShapeError unless it has as many
  /// elements.
  Parameter(std::string parameter_name, Matrix<T> initial, std::vector<Index> shape)
      : Parameter(std::move(parameter_name), std::move(initial)) {
    set_shape(std::move(shape));
  }

  Parameter(const Parameter& other)
      : shape_(other.shape_), name(other.name), value(other.value), grad(other.grad) {}
  // noexcept, because vectors of layers copy what may throw, frozen weights and all.
  Parameter(Parameter&& other) noexcept { swap(other); }
  ~Parameter() = default;

  /// Becomes another parameter: identity, name, shape and elements are the other's (those of a copy
  /// of it, if it is not moved from).
  Parameter& operator=(Parameter other) noexcept {
    swap(other);
    return *this;
  }

  /// Exchanges everything with `other`.
  void swap(Parameter& other) noexcept {
    std::swap(identity_, other.identity_);
    shape_.swap(other.shape_);
    name.swap(other.name);
    value.exchange(other.value);
    grad.exchange(other.grad);
  }

  /// Sets the gradient to zero. Gradients accumulate until this is called.
  void zero_grad() { grad.setZero(); }

  /// Returns the number of scalars.
  [[nodiscard]] Index size() const { return value.size(); }

  /// Returns the shape in files: (rows, cols) where nothing else was said.
  [[nodiscard]] std::vector<Index> shape() const {
    return shape_ ? *shape_ : std::vector<Index>{value.rows(), value.cols()};
  }

  /// Says what the shape is in files. Throws ShapeError unless it has as many elements.
  void set_shape(std::vector<Index> shape) {
    Index elements = 1;
    for (const Index extent : shape) elements *= extent;
    if (elements != size())
      throw ShapeError(
          message("Parameter: ", name, " has ", size(), " elements, but a shape of ", elements));
    shape_ = std::move(shape);
  }

  /// Returns what tells this parameter from every other.
  [[nodiscard]] const ParameterIdentity& identity() const { return identity_; }

  /// Returns what expires when this object is destroyed, wherever its identity may have moved: for
  /// those who keep a pointer to it.
  [[nodiscard]] std::weak_ptr<const void> place() const { return place_; }

 private:
  std::shared_ptr<const char> place_ = std::make_shared<const char>();  // never moves
  ParameterIdentity identity_;
  std::optional<std::vector<Index>> shape_;  // in files

 public:
  std::string name;
  FixedMatrix<T> value;
  FixedMatrix<T> grad;
};

}  // namespace lora
