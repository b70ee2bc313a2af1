#include <lora/core/thin_svd.hpp>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("both decompositions give thin factors of the matrix") {
  const Eigen::MatrixXd matrix{{2, 0, 1}, {0, 3, -1}};
  const auto check = [&](const auto& svd) {
    CHECK(svd.matrixU().cols() == 2);
    CHECK(svd.matrixV().cols() == 2);
    const Eigen::MatrixXd product =
        svd.matrixU() * svd.singularValues().asDiagonal() * svd.matrixV().transpose();
    CHECK((product - matrix).norm() < 1e-14);
  };
  check(thin_bdc_svd(matrix));
  check(thin_jacobi_svd(matrix));
}
