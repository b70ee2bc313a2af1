#include <lora/optim/adamw_update.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("adamw_update is the formula, for whole packets and what is left of them", "",
                   float, double) {
  using T = TestType;
  const bool near_g = GENERATE(false, true);
  const AdamWStep<T> step{.shrink = T(0.99),
                          .w1 = near_g ? T(0.75) : T(0.125),
                          .near_g = near_g,
                          .beta2 = T(0.75),
                          .w2 = T(0.25),
                          .step_size = T(0.5),
                          .correction = T(0.5),
                          .epsilon = T(0.0625)};
  for (const Index count : {Index{0}, Index{1}, Index{7}, Simd<T>::width, Index{37}}) {
    CAPTURE(count, near_g);
    // One row more than is updated.
    Matrix<T> p = random_matrix<T>(count + 1, 1, 1), m = random_matrix<T>(count + 1, 1, 3),
              v = random_matrix<T>(count + 1, 1, 4).cwiseAbs();
    const Matrix<T> g = random_matrix<T>(count + 1, 1, 2), p0 = p, m0 = m, v0 = v;
    adamw_update<T>(step, count, p.data(), g.data(), m.data(), v.data());
    const Tolerance<T> tolerance(8);
    for (Index i = 0; i < count; ++i) {
      const double gi = g(i, 0), mi = m0(i, 0) + double(step.w1) * (gi - m0(i, 0)),
                   vi = 0.75 * v0(i, 0) + 0.25 * gi * gi;
      CHECK(std::abs(m(i, 0) - mi) <= tolerance.value * (1 + std::abs(mi)));
      CHECK(std::abs(v(i, 0) - vi) <= tolerance.value * (1 + vi));
      const double moved =
          p0(i, 0) * double(step.shrink) - 0.5 * mi / (std::sqrt(vi) / 0.5 + 0.0625);
      CHECK(std::abs(p(i, 0) - moved) <= tolerance.value * (1 + std::abs(moved)));
    }
    CHECK(p(count, 0) == p0(count, 0));
    CHECK(m(count, 0) == m0(count, 0));
    CHECK(v(count, 0) == v0(count, 0));
  }
}

TEST_CASE("adamw_update gives a parameter's elements the same bits wherever they stand") {
  const AdamWStep<float> step{0.99F, 0.1F, false, 0.999F, 0.001F, 1e-3F, 0.3F, 1e-8F};
  const Index count = 2 * Simd<float>::width + 3;
  const Matrix<float> g = Matrix<float>::Constant(count, 1, 0.3F);
  Matrix<float> p = Matrix<float>::Constant(count, 1, 0.7F),
                m = Matrix<float>::Constant(count, 1, 0.2F),
                v = Matrix<float>::Constant(count, 1, 0.1F);
  adamw_update<float>(step, count, p.data(), g.data(), m.data(), v.data());
  for (Index i = 1; i < count; ++i) CHECK(p(i, 0) == p(0, 0));
}
