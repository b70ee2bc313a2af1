#pragma once

#include <algorithm>

#include "lora/core/elementwise.hpp"
#include "lora/core/output.hpp"
#include "lora/core/scratch.hpp"
#include "lora/nn/activation.hpp"

namespace lora {

/// Computes z = f(g) u, element by element, for gate g, up u and z (N, F): SwiGLU with f = silu,
/// GeGLU with one of the GELUs (Shazeer, "GLU variants improve transformer", 2020). z may be g or
/// u, but no other part of their memory, and backward needs both. Throws ShapeError.
template <class T>
void gated_activation(Activation f, ConstMatrixRef<T> gate, ConstMatrixRef<T> up, Output<T> z) {
  namespace ei = Eigen::internal;
  constexpr const char* where = "gated_activation";
  require_shape(up, gate.rows(), gate.cols(), where, "up");
  MatrixRef<T> out = z.shaped_elementwise(gate.rows(), gate.cols(), where, "z", {gate, up});
  if (f == Activation::silu) {
    elementwise(
        out, 32,
        [](const Packet<T>& g, const Packet<T>& u) {
          return ei::pmul(ei::pmul(g, detail::sigmoid<T>(g)), u);
        },
        gate, up);
    return;
  }
  for_each_row(gate.rows(), gate.cols(), 32, [&](Index row) {
    Scratch scratch;
    const MatrixRef<T> active = scratch.matrix<T>(1, gate.cols());
    activate<T>(f, gate.row(row), active);
    packets::transform(
        gate.cols(), out.data() + row * out.outerStride(),
        [](const Packet<T>& a, const Packet<T>& u) { return ei::pmul(a, u); }, active.data(),
        up.data() + row * up.outerStride());
  });
}

/// Computes from dz (N, F), with the forward's g and u,
///
///     dg = dz u f'(g),  du = dz f(g).
///
/// dg and du may be dz, g or u, each another one, but no other part of their memory. Throws
/// ShapeError.
template <class T>
void gated_activation_backward(Activation f, ConstMatrixRef<T> gate, ConstMatrixRef<T> up,
                               ConstMatrixRef<T> dz, Output<T> dgate, Output<T> dup) {
  namespace ei = Eigen::internal;
  constexpr const char* where = "gated_activation_backward";
  const Index n = gate.rows(), width = gate.cols();
  require_shape(up, n, width, where, "up");
  require_shape(dz, n, width, where, "dz");
  require_apart<T>({dgate, dup}, where);
  dup.check_elementwise(n, width, where, "dup", {gate, up, dz});
  MatrixRef<T> dg_out = dgate.shaped_elementwise(n, width, where, "dgate", {gate, up, dz});
  MatrixRef<T> du_out = dup.shaped_elementwise(n, width, where, "dup", {gate, up, dz});
  // A row at a time, because each output may be an input of the other.
  for_each_row(n, width, 48, [&](Index row) {
    Scratch scratch;
    T* value = scratch.take<T>(width);
    T* slope = scratch.take<T>(width);
    const T* g = gate.data() + row * gate.outerStride();
    const T* d = dz.data() + row * dz.outerStride();
    const auto product = [](const Packet<T>& a, const Packet<T>& b) { return ei::pmul(a, b); };
    if (f == Activation::silu) {
      packets::transform(
          width, value, [](const Packet<T>& v) { return detail::sigmoid<T>(v); }, g);
      packets::transform(
          width, slope,
          [](const Packet<T>& v, const Packet<T>& s) { return detail::silu_slope<T>(v, s); }, g,
          value);
      packets::transform(width, value, product, g, value);
    } else {
      const MatrixRef<T> y(value, 1, width, width), dx(slope, 1, width, width);
      activate<T>(f, gate.row(row), y);
      std::fill_n(slope, width, T(1));
      activate_backward<T>(f, gate.row(row), y, dx, dx);
    }
    packets::transform(width, value, product, value, d);
    packets::transform(
        width, slope,
        [](const Packet<T>& a, const Packet<T>& u, const Packet<T>& b) {
          return ei::pmul(ei::pmul(b, u), a);
        },
        slope, up.data() + row * up.outerStride(), d);
    std::copy_n(slope, width, dg_out.data() + row * dg_out.outerStride());
    std::copy_n(value, width, du_out.data() + row * du_out.outerStride());
  });
}

}  // namespace lora
