#include <lora/init/incremental_pca.hpp>

#include <limits>

#include "support/golden.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("the main directions of batches are what PEFT's IncrementalPCA finds") {
  const Golden<float> golden("starts");
  for (const bool exact : {true, false}) {
    IncrementalPca<float> pca(3, 5, {.exact = exact});
    for (const std::string step : {"0", "1", "2"}) {
      CAPTURE(exact, step);
      pca.add(golden["pca.x" + step]);
      CHECK(largest_difference(pca.components(), golden["pca.components" + step]) < 1e-5);
      CHECK(largest_difference(pca.singular_values().transpose(), golden["pca.values" + step]) <
            1e-4);
      CHECK(largest_difference(pca.explained_variance_ratio().transpose(),
                               golden["pca.ratio" + step]) < 1e-5);
    }
    CHECK(pca.samples() == 20);
  }
}

TEST_CASE("batches of a few rows add up to the directions of all rows") {
  const Matrix<double> x = random_matrix<double>(30, 4, 1);
  IncrementalPca<double> whole(4, 4, {.exact = true}), parts(4, 4, {.exact = true});
  whole.add(x);
  parts.add(x.topRows(1));
  parts.add(x.topRows(0));
  for (Index i = 1; i < 30; i += 2) parts.add(x.middleRows(i, std::min<Index>(2, 30 - i)));
  CHECK(largest_difference(whole.components(), parts.components()) < 1e-10);
  CHECK(std::abs(parts.explained_variance_ratio().sum() - 1) < 1e-12);
  parts.add(x);
  CHECK(parts.similarity().minCoeff() > 1 - 1e-12);
}

TEST_CASE("rows that the directions cannot be of are refused, and nothing has changed") {
  check_throws<ConfigError>([] { IncrementalPca<float>(5, 4); }, "components is 5, expected 1 to");
  IncrementalPca<float> pca(2, 4);
  Matrix<float> x = random_matrix<float>(3, 4, 1);
  check_throws<ShapeError>([&] { pca.add(x.leftCols(3)); }, "x is (3, 3), expected (N, features");
  x(1, 1) = std::numeric_limits<float>::quiet_NaN();
  check_throws<ConfigError>([&] { pca.add(x); }, "a number that is not finite");
  CHECK(pca.samples() == 0);
  // Rows that are all the same have no direction.
  pca.add(Matrix<float>(Matrix<float>::Ones(3, 4)));
  CHECK(pca.components().norm() < 1e-3);
  CHECK(pca.explained_variance_ratio().norm() < 1e-3);
}
