#include <lora/optim/orthogonality.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("the distance from orthogonality has the gradient of its differences") {
  for (const bool columns : {false, true}) {
    CAPTURE(columns);
    Parameter<double> m("m",
                        columns ? random_matrix<double>(5, 3, 1) : random_matrix<double>(3, 5, 1));
    const double value = add_orthogonality(m, 0.3, columns);
    const Matrix<double> rows =
        columns ? Matrix<double>(m.value.transpose()) : Matrix<double>(m.value);
    const Matrix<double> gram = rows * rows.transpose();
    CHECK(std::abs(value - 0.3 * (gram - Matrix<double>::Identity(3, 3)).norm()) < 1e-14);
    const Matrix<double> gradient = m.grad;
    for (Index i = 0; i < m.size(); ++i) {
      const double kept = m.value.data()[i], step = 1e-6;
      m.value.data()[i] = kept + step;
      const double above = add_orthogonality(m, 0.3, columns);
      m.value.data()[i] = kept - step;
      const double below = add_orthogonality(m, 0.3, columns);
      m.value.data()[i] = kept;
      CHECK(std::abs((above - below) / (2 * step) - gradient.data()[i]) < 1e-8);
    }
  }
}

TEST_CASE("orthonormal rows have no gradient") {
  Parameter<double> m("m", Matrix<double>::Identity(2, 4));
  CHECK(add_orthogonality(m, 1.0) == 0);
  CHECK(m.grad.isZero(0));
}
