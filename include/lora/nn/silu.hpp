#pragma once

#include "lora/core/elementwise.hpp"
#include "lora/core/output.hpp"

namespace lora {

namespace detail {

// Returns 1 / (1 + e^-x), exactly 0 or 1 where T has no digits left.
template <class T>
[[nodiscard]] Packet<T> sigmoid(const Packet<T>& x) {
  namespace ei = Eigen::internal;
  const auto one = ei::pset1<Packet<T>>(T(1));
  const Packet<T> e = packets::exp<T>(ei::pnegate(ei::pabs(x)));
  const Packet<T> negative = ei::pcmp_lt(x, ei::pset1<Packet<T>>(T(0)));
  return ei::pdiv(ei::pselect(negative, e, one), ei::padd(one, e));
}

// Returns the derivative of x s at x, s = sigmoid(x): s + x s (1 - s).
template <class T>
[[nodiscard]] Packet<T> silu_slope(const Packet<T>& x, const Packet<T>& s) {
  namespace ei = Eigen::internal;
  const Packet<T> rest = ei::psub(ei::pset1<Packet<T>>(T(1)), s);
  return ei::pmadd(ei::pmul(x, s), rest, s);
}

}  // namespace detail

/// Computes y = x / (1 + e^-x), SiLU or Swish (Hendrycks and Gimpel, 2016; "silu" in a
/// config.json), for x and y (N, D). y may be x itself, but no other part of its memory, and
/// backward needs x. Throws ShapeError.
template <class T>
void silu(ConstMatrixRef<T> x, Output<T> y) {
  MatrixRef<T> out = y.shaped_elementwise(x.rows(), x.cols(), "silu", "y", {x});
  elementwise(
      out, 32, [](const Packet<T>& v) { return Eigen::internal::pmul(v, detail::sigmoid<T>(v)); },
      x);
}

/// Does the same for the scalar of x.
template <class X>
void silu(const Eigen::MatrixBase<X>& x, Output<typename X::Scalar> y) {
  silu<typename X::Scalar>(x.derived(), y);
}

/// Computes dx = dy s (1 + x (1 - s)) with s = 1 / (1 + e^-x), all of them (N, D). dx may be dy or
/// x itself, but no other part of their memory. Throws ShapeError.
template <class T>
void silu_backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Output<T> dx) {
  require_shape(dy, x.rows(), x.cols(), "silu_backward", "dy");
  MatrixRef<T> out = dx.shaped_elementwise(x.rows(), x.cols(), "silu_backward", "dx", {x, dy});
  elementwise(
      out, 32,
      [](const Packet<T>& v, const Packet<T>& g) {
        return Eigen::internal::pmul(g, detail::silu_slope<T>(v, detail::sigmoid<T>(v)));
      },
      x, dy);
}

/// Does the same for the scalar of x.
template <class X>
void silu_backward(const Eigen::MatrixBase<X>& x, ConstMatrixRef<typename X::Scalar> dy,
                   Output<typename X::Scalar> dx) {
  silu_backward<typename X::Scalar>(x.derived(), dy, dx);
}

}  // namespace lora
