#pragma once

#include "lora/core/elementwise.hpp"
#include "lora/core/output.hpp"
#include "lora/nn/normal_cdf.hpp"

namespace lora {

/// The two functions that the field calls GELU (Hendrycks and Gimpel, "Gaussian
/// error linear units", 2016).
enum class GeluForm {
  exact,  ///< x Phi(x): "gelu" in a config.json, torch's approximate="none"
  tanh,   ///< x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))) / 2: "gelu_new", approximate="tanh"
};

namespace detail {

inline constexpr double gelu_slope = 1.5957691216057308;  // 2 sqrt(2 / pi)
inline constexpr double gelu_cubic = 0.044715;

// The tanh form is x sigmoid(w), w = 2 sqrt(2/pi) (x + 0.044715 x^3). Returns sigmoid(w), as exact
// zero or one where float has no digits left.
template <class T>
[[nodiscard]] Packet<T> gelu_sigmoid(const Packet<T>& x, const Packet<T>& x_squared) {
  namespace ei = Eigen::internal;
  const auto one = ei::pset1<Packet<T>>(T(1));
  const Packet<T> slope = ei::pmadd(ei::pset1<Packet<T>>(static_cast<T>(gelu_slope * gelu_cubic)),
                                    x_squared, ei::pset1<Packet<T>>(static_cast<T>(gelu_slope)));
  const Packet<T> w = ei::pmul(slope, x);
  const Packet<T> e = packets::exp<T>(ei::pnegate(ei::pabs(w)));
  const Packet<T> negative = ei::pcmp_lt(w, ei::pset1<Packet<T>>(T(0)));
  return ei::pdiv(ei::pselect(negative, e, one), ei::padd(one, e));
}

}  // namespace detail

/// Computes y = gelu(x) for x and y (N, D). y may be x itself, but no other part of its memory, and
/// backward needs x. Throws ShapeError.
template <class T>
void gelu(ConstMatrixRef<T> x, Output<T> y, GeluForm form = GeluForm::exact) {
  namespace ei = Eigen::internal;
  MatrixRef<T> out = y.shaped_elementwise(x.rows(), x.cols(), "gelu", "y", {x});
  if (form == GeluForm::exact) {
    elementwise(
        out, 32, [](const Packet<T>& v) { return ei::pmul(v, normal_cdf<T>(v).cdf); }, x);
  } else {
    elementwise(
        out, 32,
        [](const Packet<T>& v) { return ei::pmul(v, detail::gelu_sigmoid<T>(v, ei::pmul(v, v))); },
        x);
  }
}

/// Does the same for the scalar of x.
template <class X>
void gelu(const Eigen::MatrixBase<X>& x, Output<typename X::Scalar> y,
          GeluForm form = GeluForm::exact) {
  gelu<typename X::Scalar>(x.derived(), y, form);
}

/// Computes dx = dy gelu'(x), all of them (N, D), with gelu'(x) = Phi(x) + x phi(x) or the
/// derivative of the tanh form. dx may be dy or x itself, but no other part of their memory. Throws
/// ShapeError.
template <class T>
void gelu_backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Output<T> dx,
                   GeluForm form = GeluForm::exact) {
  namespace ei = Eigen::internal;
  require_shape(dy, x.rows(), x.cols(), "gelu_backward", "dy");
  MatrixRef<T> out = dx.shaped_elementwise(x.rows(), x.cols(), "gelu_backward", "dx", {x, dy});
  if (form == GeluForm::exact) {
    elementwise(
        out, 32,
        [](const Packet<T>& v, const Packet<T>& g) {
          const NormalCdf<T> normal = normal_cdf<T>(v);
          return ei::pmul(g, ei::pmadd(v, normal.density, normal.cdf));
        },
        x, dy);
  } else {
    // d/dx x s(w) = s + x s (1 - s) w', w' = 2 sqrt(2/pi) (1 + 3 * 0.044715 x^2)
    elementwise(
        out, 32,
        [](const Packet<T>& v, const Packet<T>& g) {
          const Packet<T> square = ei::pmul(v, v);
          const Packet<T> s = detail::gelu_sigmoid<T>(v, square);
          const Packet<T> slope = ei::pmadd(
              ei::pset1<Packet<T>>(static_cast<T>(3 * detail::gelu_slope * detail::gelu_cubic)),
              square, ei::pset1<Packet<T>>(static_cast<T>(detail::gelu_slope)));
          const Packet<T> rest = ei::psub(ei::pset1<Packet<T>>(T(1)), s);
          return ei::pmul(g, ei::pmadd(ei::pmul(ei::pmul(s, rest), slope), v, s));
        },
        x, dy);
  }
}

/// Does the same for the scalar of x.
template <class X>
void gelu_backward(const Eigen::MatrixBase<X>& x, ConstMatrixRef<typename X::Scalar> dy,
                   Output<typename X::Scalar> dx, GeluForm form = GeluForm::exact) {
  gelu_backward<typename X::Scalar>(x.derived(), dy, dx, form);
}

}  // namespace lora
