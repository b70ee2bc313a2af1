#pragma once

#include "lora/nn/gelu.hpp"
#include "lora/nn/relu.hpp"
#include "lora/nn/silu.hpp"
#include "lora/nn/tanh.hpp"

namespace lora {

/// The functions that stand between two linear layers, as far as a file may choose among them.
enum class Activation {
  gelu,       ///< x Phi(x)
  gelu_tanh,  ///< GELU's tanh form
  relu,       ///< max(x, 0)
  silu,       ///< x / (1 + e^-x)
  tanh,       ///< tanh(x)
};

/// Computes y = f(x) for x and y (N, M). y may be x itself, but no other part of its memory. Throws
/// ShapeError.
template <class T>
void activate(Activation f, ConstMatrixRef<T> x, Output<T> y) {
  switch (f) {
    case Activation::gelu:
      return gelu<T>(x, y);
    case Activation::gelu_tanh:
      return gelu<T>(x, y, GeluForm::tanh);
    case Activation::relu:
      return relu<T>(x, y);
    case Activation::silu:
      return silu<T>(x, y);
    case Activation::tanh:
      return tanh_activation<T>(x, y);
  }
}

/// Computes dx = dy f'(x) for x, y = f(x) and dy, all of them (N, M). Only where needs_output(f) is
/// y looked at, and only elsewhere x. dx may be dy, or the one that is looked at, but no other part
/// of their memory. Throws ShapeError.
template <class T>
void activate_backward(Activation f, ConstMatrixRef<T> x, ConstMatrixRef<T> y, ConstMatrixRef<T> dy,
                       Output<T> dx) {
  switch (f) {
    case Activation::gelu:
      return gelu_backward<T>(x, dy, dx);
    case Activation::gelu_tanh:
      return gelu_backward<T>(x, dy, dx, GeluForm::tanh);
    case Activation::relu:
      return relu_backward<T>(x, dy, dx);
    case Activation::silu:
      return silu_backward<T>(x, dy, dx);
    case Activation::tanh:
      return tanh_activation_backward<T>(y, dy, dx);
  }
}

/// Tells whether activate_backward looks at y = f(x) instead of x.
[[nodiscard]] constexpr bool needs_output(Activation f) { return f == Activation::tanh; }

}  // namespace lora
