#include <lora/nn/bias_gradient.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("add_bias_gradient adds the sum of the rows, in their order") {
  Matrix<float> db = random_matrix<float>(1, 21, 1);
  const Matrix<float> dy = random_matrix<float>(50, 30, 2);
  Matrix<float> expected = db;
  for (Index n = 0; n < dy.rows(); ++n)
    for (Index j = 0; j < db.cols(); ++j) expected(0, j) += dy(n, j + 4);
  add_bias_gradient<float>(dy.middleCols(4, 21), db);
  CHECK(same_bits(db, expected));
  add_bias_gradient<float>(Matrix<float>(0, 21), db);
  CHECK(same_bits(db, expected));
}
