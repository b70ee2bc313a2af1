#include <lora/optim/damped_inverse.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a damped inverse undoes the rows' products, and leaves directions of nothing out") {
  const Matrix<double> m = random_matrix<double>(3, 7, 1);
  const Matrix<double> gram = m * m.transpose() + 0.5 * Matrix<double>::Identity(3, 3);
  CHECK((gram * damped_inverse<double>(m, 0.5)).isIdentity(1e-13));
  Matrix<float> same = random_matrix<float>(2, 5, 2);
  same.row(1) = same.row(0);
  const Matrix<float> inverse = damped_inverse<float>(same, 0);
  const float square = same.row(0).squaredNorm();
  CHECK(largest_difference(inverse, Matrix<float>::Constant(2, 2, 1 / (4 * square))) < 1e-5);
}
