#pragma once

#include <cmath>
#include <cstdint>
#include <string>

#include "lora/core/matrix.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/tape.hpp"
#include "lora/init/kaiming_uniform.hpp"
#include "lora/kernels/product.hpp"
#include "lora/nn/bias_gradient.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// Computes y = x W^T + b with W (out, in) and b (out) both trained: a new head (PEFT's
/// modules_to_save), or a layer of full fine-tuning to compare LoRA with.
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
    const double k = 1 / std::sqrt(static_cast<double>(in_features));
    for (Index j = 0; j < out_features; ++j)
      bias_.value(0, j) =
          static_cast<T>(k * (2 * random.uniform(1, static_cast<std::uint64_t>(j)) - 1));
    set_name("");
  }

  /// Computes y (N, out), which is resized, for x (N, in). Throws ShapeError.
  void forward(ConstMatrixRef<T> x, Matrix<T>& y) const {
    require_cols(x, in_features(), "Linear::forward", "x", "in_features");
    y.resize(x.rows(), out_features());
    y.rowwise() = bias_.value.row(0);
    add_product(y, T(1), x, weight_.value.transpose());
  }

  /// Computes the same and notes the call on the tape, for backward to check.
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, Matrix<T>& y) const {
    forward(x, y);
    static_cast<void>(tape.push(this, weight_.name, x.rows()));
  }

  /// Adds dW += dy^T x and db += sum over rows of dy, and computes dx = dy W, resized to (N, in).
  /// Throws ShapeError and StateError.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape, Matrix<T>& dx) {
    backward(x, dy, tape);
    dx.resize(x.rows(), in_features());
    dx.setZero();
    add_product(dx, T(1), dy, weight_.value);
  }

  /// Does the same without dx.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape) {
    require_cols(x, in_features(), "Linear::backward", "x", "in_features");
    require_shape(dy, x.rows(), out_features(), "Linear::backward", "dy");
    static_cast<void>(tape.top(this, dy.rows(), "Linear::backward"));
    add_product(weight_.grad, T(1), dy.transpose(), x);
    add_bias_gradient<T>(dy, bias_.grad);
    tape.pop();
  }

  [[nodiscard]] Index in_features() const { return weight_.value.cols(); }
  [[nodiscard]] Index out_features() const { return weight_.value.rows(); }

  [[nodiscard]] Parameter<T>& weight() { return weight_; }
  [[nodiscard]] const Parameter<T>& weight() const { return weight_; }
  [[nodiscard]] Parameter<T>& bias() { return bias_; }
  [[nodiscard]] const Parameter<T>& bias() const { return bias_; }

  /// Names the layer; its parameters are then `name.weight` and `name.bias`.
  void set_name(const std::string& name) {
    weight_.name = name.empty() ? "weight" : name + ".weight";
    bias_.name = name.empty() ? "bias" : name + ".bias";
  }

  /// Lists W and b.
  [[nodiscard]] ParameterList<T> parameters() {
    ParameterList<T> list;
    list.add(weight_);
    list.add(bias_);
    return list;
  }

  [[nodiscard]] Index trainable_parameters() const { return weight_.size() + bias_.size(); }
  [[nodiscard]] Index total_parameters() const { return trainable_parameters(); }

 private:
  Parameter<T> weight_;
  Parameter<T> bias_;
};

}  // namespace lora
