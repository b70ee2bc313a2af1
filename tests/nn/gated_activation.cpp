#include <lora/nn/gated_activation.hpp>

#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/output_memory.hpp"
#include "support/random_matrix.hpp"
#include "support/repeatable.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

constexpr Activation gates[] = {Activation::silu, Activation::gelu, Activation::gelu_tanh};

}  // namespace

TEST_CASE("a gated activation is the activation of the gate times up") {
  const Matrix<double> g = 3 * random_matrix<double>(5, 9, 1), u = random_matrix<double>(5, 9, 2);
  for (const Activation f : gates) {
    Matrix<double> z, active;
    gated_activation<double>(f, g, u, z);
    activate<double>(f, g, active);
    CHECK(largest_difference(z, active.cwiseProduct(u)) < 1e-15);
  }
}

TEST_CASE("a gated activation's gradients agree with finite differences") {
  Matrix<double> g = 3 * random_matrix<double>(5, 9, 1), u = random_matrix<double>(5, 9, 2);
  const Matrix<double> c = random_matrix<double>(5, 9, 3);
  for (const Activation f : gates) {
    Matrix<double> dg, du;
    gated_activation_backward<double>(f, g, u, c, dg, du);
    const auto loss = [&] {
      Matrix<double> z;
      gated_activation<double>(f, g, u, z);
      return (z.array() * c.array()).sum();
    };
    CHECK(relative_error(dg, finite_difference(g, loss)) < 1e-6);
    CHECK(relative_error(du, finite_difference(u, loss)) < 1e-6);
  }
}

TEST_CASE("a gated activation may write over its inputs, each output over another one") {
  const Matrix<float> g = random_matrix<float>(4, 21, 1), u = random_matrix<float>(4, 21, 2),
                      dz = random_matrix<float>(4, 21, 3);
  for (const Activation f : gates) {
    Matrix<float> z, dg, du;
    gated_activation<float>(f, g, u, z);
    gated_activation_backward<float>(f, g, u, dz, dg, du);
    Matrix<float> a = g, b = u;
    gated_activation<float>(f, a, u, a);
    gated_activation<float>(f, g, b, b);
    CHECK(same_bits(a, z));
    CHECK(same_bits(b, z));
    a = g, b = u;
    gated_activation_backward<float>(f, a, b, dz, a, b);
    CHECK(same_bits(a, dg));
    CHECK(same_bits(b, du));
    a = g, b = dz;
    gated_activation_backward<float>(f, a, u, b, b, a);
    CHECK(same_bits(b, dg));
    CHECK(same_bits(a, du));
  }
}

TEST_CASE("a gated activation refuses shapes that differ and outputs that overlap") {
  const Matrix<float> g = random_matrix<float>(4, 21, 1), wide = random_matrix<float>(4, 22, 2);
  Matrix<float> z = g, dg = g, du = g;
  CHECK_THROWS_AS(gated_activation<float>(Activation::silu, g, wide, z), ShapeError);
  CHECK_THROWS_AS(gated_activation_backward<float>(Activation::silu, g, wide, g, dg, du),
                  ShapeError);
  CHECK_THROWS_AS(gated_activation_backward<float>(Activation::silu, g, g, wide, dg, du),
                  ShapeError);
  CHECK_THROWS_AS(gated_activation_backward<float>(Activation::silu, g, g, g, dg, dg), ShapeError);
  CHECK(same_bits(dg, g));
  check_partial_overlap_refused<float>(4, 21, [&](ConstMatrixRef<float> in, Output<float> out) {
    gated_activation<float>(Activation::silu, in, g, out);
  });
  Matrix<float> other;
  check_partial_overlap_refused<float>(4, 21, [&](ConstMatrixRef<float> in, Output<float> out) {
    gated_activation_backward<float>(Activation::silu, in, g, g, other, out);
  });
}

TEST_CASE("a gated activation gives the same bits for any number of threads, allocating nothing") {
  const Matrix<float> g = 3 * random_matrix<float>(300, 301, 1),
                      u = random_matrix<float>(300, 301, 2);
  const Matrix<float> dz = random_matrix<float>(300, 301, 3);
  Matrix<float> z, dg, du;
  for (const Activation f : gates)
    check_repeatable<float>(
        [&] {
          gated_activation<float>(f, g, u, z);
          gated_activation_backward<float>(f, g, u, dz, dg, du);
        },
        z, dg, du);
}
