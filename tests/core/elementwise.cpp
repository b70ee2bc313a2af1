#include <lora/core/elementwise.hpp>

#include <atomic>
#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("for_each_row calls every row once, for any shape and number of threads") {
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    for (const Index rows : {0, 1, 7, 1000})
      for (const Index cols : {0, 1, 100, 5000}) {
        std::vector<std::atomic<int>> calls(static_cast<std::size_t>(rows));
        for_each_row(rows, cols, 1e6, [&](Index row) { ++calls[static_cast<std::size_t>(row)]; });
        for (const auto& each : calls) CHECK(each == 1);
      }
  }
}

TEST_CASE("elementwise reads blocks of other matrices and may work in place") {
  const Matrix<float> a = random_matrix<float>(9, 40, 1), b = random_matrix<float>(9, 23, 2);
  const auto sum = [](const Packet<float>& x, const Packet<float>& y) {
    return Eigen::internal::padd(x, y);
  };
  Matrix<float> out(9, 23);
  elementwise(out, 1, sum, ConstMatrixRef<float>(a.middleCols(5, 23)), ConstMatrixRef<float>(b));
  CHECK(same_bits(out, a.middleCols(5, 23) + b));
  elementwise(out, 1, sum, out, out);
  CHECK(same_bits(out, 2 * (a.middleCols(5, 23) + b)));
  Matrix<float> wide = Matrix<float>::Zero(9, 30);
  MatrixRef<float> block = wide.middleCols(3, 23);
  elementwise(block, 1, sum, b, b);
  CHECK(same_bits(block, 2 * b));
  CHECK((wide.leftCols(3).isZero(0) && wide.rightCols(4).isZero(0)));
}

TEST_CASE("a residual is added to blocks of other matrices") {
  const Matrix<double> x = random_matrix<double>(9, 23, 1);
  Matrix<double> wide = Matrix<double>::Ones(9, 30);
  add_to<double>(x, wide.middleCols(3, 23));
  CHECK(same_bits(wide.middleCols(3, 23), Matrix<double>(x.array() + 1)));
  CHECK((wide.leftCols(3).isOnes(0) && wide.rightCols(4).isOnes(0)));
}
