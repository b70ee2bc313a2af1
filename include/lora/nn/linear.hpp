#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "lora/core/gradients.hpp"
#include "lora/core/output.hpp"
#include "lora/core/parameter_name.hpp"
#include "lora/core/place.hpp"
#include "lora/core/tape.hpp"
#include "lora/init/kaiming_uniform.hpp"
#include "lora/init/uniform.hpp"
#include "lora/kernels/product.hpp"
#include "lora/nn/bias_gradient.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// A linear layer y = x W^T + b with W (out, in) and b (out), which may be left out, both trained:
/// a new head (PEFT's modules_to_save), or a layer of full fine-tuning to compare LoRA with.
///
/// Const calls may come from several threads at once, each with a tape and Gradients of its own. A
/// second call of the same shapes allocates nothing.
template <class T>
class Linear {
 public:
  using Scalar = T;

  /// Draws W and b from `seed`, uniform on (-1/sqrt(in), 1/sqrt(in)) as torch.nn.Linear does.
  /// Throws ShapeError for sizes below 1.
  Linear(Index out_features, Index in_features, std::uint64_t seed) {
    if (out_features < 1 || in_features < 1)
      throw ShapeError(message("Linear: the shape is (", out_features, ", ", in_features,
                               "), expected sizes of at least 1"));
    weight_ = Parameter<T>("", Matrix<T>(out_features, in_features));
    bias_ = Parameter<T>("", Matrix<T>(1, out_features), {out_features});
    const Random random(seed, RandomStream::initialisation);
    kaiming_uniform<T>(weight_.value, random);
    uniform<T>(bias_.value, random, 1 / std::sqrt(static_cast<double>(in_features)), 1);
    set_name("");
  }

  /// Takes W (out, in) and b (out), or none. Throws ShapeError.
  explicit Linear(Matrix<T> weight, const Vector<T>& bias = {}) {
    if (weight.rows() < 1 || weight.cols() < 1)
      throw ShapeError(
          message("Linear: the weight is ", shape_of(weight), ", expected sizes of at least 1"));
    if (bias.size() != 0 && bias.size() != weight.rows())
      throw ShapeError(message("Linear: bias has ", bias.size(),
                               " elements, expected none or out_features = ", weight.rows()));
    weight_ = Parameter<T>("", std::move(weight));
    bias_ = Parameter<T>("", Matrix<T>(bias.transpose()), {bias.size()});
    set_name("");
  }

  /// Computes y (N, out) for x (N, in). y is no part of x. Throws ShapeError.
  void forward(ConstMatrixRef<T> x, Output<T> y) const {
    const Place where = place("Linear::forward");
    require_cols(x, in_features(), where, "x", "in_features");
    MatrixRef<T> out = y.shaped(x.rows(), out_features(), where, "y", {x});
    if (has_bias())
      out.rowwise() = bias_.value.row(0);
    else
      out.setZero();
    add_product(out, T(1), x, weight_.value.transpose());
  }

  /// Computes the same and notes x on the tape, for backward to check.
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, Output<T> y) const {
    forward(x, y);
    auto& frame = tape.push(this, name_.empty() ? std::string_view("a Linear") : name_, x.rows());
    frame.note_input(x);
    frame.note_input(weight_.value);
  }

  /// Adds dW += dy^T x and db += sum over rows of dy, and computes dx = dy W (N, in). x is the
  /// forward's. dx may be x itself, but no other part of its memory and no part of dy. Throws
  /// ShapeError and StateError, before anything changes.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape, Output<T> dx) {
    backward(x, dy, tape, GradientTarget<T>::own(), dx);
  }

  /// Does the same without dx.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape) {
    backward(x, dy, tape, GradientTarget<T>::own());
  }

  /// Computes dx, and adds to `gradients` instead of the layer's own: a `Gradients<T>`, one for
  /// each thread that trains this layer.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients, Output<T> dx) const {
    const Place where = place("Linear::backward");
    check_backward(x, dy, tape, where);
    dx.check(dy.rows(), in_features(), where, "dx", {dy});
    if (!dx.is(x)) dx.check(dy.rows(), in_features(), where, "dx", {x});
    backward(x, dy, tape, gradients);
    MatrixRef<T> out = dx.shaped(dy.rows(), in_features(), where, "dx");
    out.setZero();
    add_product(out, T(1), dy, weight_.value);
  }

  /// Does the same without dx.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients) const {
    check_backward(x, dy, tape, place("Linear::backward"));
    MatrixRef<T> dw = gradients.of(weight_);
    if (has_bias()) add_bias_gradient<T>(dy, gradients.of(bias_));
    add_product(dw, T(1), dy.transpose(), x);
    tape.pop();
  }

  [[nodiscard]] Index in_features() const { return weight_.value.cols(); }
  [[nodiscard]] Index out_features() const { return weight_.value.rows(); }

  [[nodiscard]] bool has_bias() const { return bias_.value.size() != 0; }

  [[nodiscard]] Parameter<T>& weight() { return weight_; }
  [[nodiscard]] const Parameter<T>& weight() const { return weight_; }
  [[nodiscard]] Parameter<T>& bias() { return bias_; }
  [[nodiscard]] const Parameter<T>& bias() const { return bias_; }

  [[nodiscard]] const std::string& name() const { return name_; }

  /// Names the layer; its parameters are then `name.weight` and `name.bias`, as in PyTorch.
  void set_name(const std::string& name) {
    name_ = name;
    weight_.name = parameter_name(name, "weight");
    bias_.name = parameter_name(name, "bias");
  }

  /// Lists W and b.
  [[nodiscard]] ParameterList<T> parameters() {
    ParameterList<T> list;
    list.add(weight_);
    if (has_bias()) list.add(bias_);
    return list;
  }

  [[nodiscard]] Index trainable_parameters() const { return weight_.size() + bias_.size(); }
  [[nodiscard]] Index total_parameters() const { return trainable_parameters(); }

 private:
  [[nodiscard]] Place place(const char* call) const { return {call, name_}; }

  void check_backward(const ConstMatrixRef<T>& x, const ConstMatrixRef<T>& dy, Tape<T>& tape,
                      const Place& where) const {
    require_cols(x, in_features(), where, "x", "in_features");
    require_shape(dy, x.rows(), out_features(), where, "dy", {}, "out_features");
    const auto& frame = tape.top(this, dy.rows(), where);
    frame.require_input(x, where);
    frame.mark(1).require_elements(weight_.value, where, "the weight");
  }

  std::string name_;
  Parameter<T> weight_;
  Parameter<T> bias_;
};

}  // namespace lora
