#include <lora/core/matrix.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace lora;

namespace {
Index rows_seen(ConstMatrixRef<float> x) { return x.rows(); }
const float* data_seen(ConstMatrixRef<float> x) { return x.data(); }
float* target_seen(MatrixRef<float> x) { return x.data(); }

using ColumnMajor = Eigen::MatrixXf;
static_assert(std::is_convertible_v<Matrix<float>&, ConstMatrixRef<float>>);
static_assert(std::is_convertible_v<const Matrix<float>&, ConstMatrixRef<float>>);
static_assert(!std::is_convertible_v<ColumnMajor&, ConstMatrixRef<float>>,
              "a column-major matrix would have to be copied");
static_assert(!std::is_convertible_v<Matrix<double>&, ConstMatrixRef<float>>);
static_assert(!std::is_convertible_v<const Matrix<float>&, MatrixRef<float>>);
static_assert(!std::is_convertible_v<ColumnMajor&, MatrixRef<float>>);
static_assert(!std::is_convertible_v<decltype(Matrix<float>() * 2.0F), ConstMatrixRef<float>>,
              "an expression has no memory to look at");
static_assert(!std::is_convertible_v<decltype(Matrix<float>().transpose()), ConstMatrixRef<float>>);
}  // namespace

TEST_CASE("matrix references look at the caller's memory and never copy") {
  Matrix<float> m = test::random_matrix<float>(5, 7, 1);
  CHECK(data_seen(m) == m.data());
  CHECK(rows_seen(m.topRows(2)) == 2);
  CHECK(data_seen(m.row(3)) == m.row(3).data());
  CHECK(data_seen(m.block(1, 2, 3, 4)) == &m(1, 2));
  CHECK(target_seen(m) == m.data());
  CHECK(target_seen(m.block(1, 2, 3, 4)) == &m(1, 2));

  MatrixRef<float> block = m.block(1, 2, 3, 4);
  block.setZero();
  CHECK(m(1, 2) == 0.0F);
  CHECK(m(3, 5) == 0.0F);
  CHECK(m(0, 2) != 0.0F);
  const MatrixRef<float> other = m.block(0, 0, 3, 4);
  block = other;  // writes elements, as with every Eigen view
  CHECK(m(3, 2) == m(2, 0));
}

TEST_CASE("shape errors say what came and what was expected") {
  const Matrix<float> m(3, 4);
  CHECK_THROWS_WITH(require_shape(m, 3, 8, "Layer::backward", "dy"),
                    "Layer::backward: dy is (3, 4), expected (3, 8)");
  CHECK_THROWS_WITH(require_cols(m, 8, "Layer::forward", "x", "in_features"),
                    "Layer::forward: x is (3, 4), expected (N, in_features = 8)");
  CHECK_NOTHROW(require_shape(m, 3, 4, "", ""));
  CHECK_NOTHROW(require_cols(m, 4, "", "", ""));
}
