#include <lora/layers/adapter_tensor.hpp>

#include "support/catch.hpp"

using lora::Index;
using lora::MatrixShape;

TEST_CASE("a tensor's elements are a matrix of its first and all other dimensions") {
  const auto is = [](const std::vector<Index>& shape, Index rows, Index cols) {
    const MatrixShape matrix(shape);
    return matrix.rows == rows && matrix.cols == cols;
  };
  CHECK(is({}, 1, 1));
  CHECK(is({5}, 1, 5));
  CHECK(is({2, 3}, 2, 3));
  CHECK(is({2, 3, 4, 5}, 2, 60));
  CHECK(is({4, 0, 2}, 4, 0));
  // What a file may say of a tensor without elements.
  const Index huge = Index{1} << 40;
  CHECK(MatrixShape({0, huge, huge}).rows == 0);
}
