#include <lora/frozen/coded_weight.hpp>

#include <lora/frozen/block_weight.hpp>
#include <lora/frozen/int8_weight.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("rows of a coded weight take the same way alone and in a batch") {
  // On both sides of where panels begin: the sums are the same but for their order.
  const Matrix<float> w = random_matrix<float>(40, 96, 1), x = random_matrix<float>(30, 96, 2);
  const Int8Weight<float> weight(w);
  Matrix<float> all = Matrix<float>::Zero(30, 40);
  weight.add_product(x, all);
  for (const Index n : {1, 2, 3, 8, 13, 16, 17}) {
    Matrix<float> some = Matrix<float>::Zero(n, 40);
    weight.add_product(x.topRows(n), some);
    CHECK(largest_difference(some, all.topRows(n).cast<double>()) <= Tolerance<float>(96).value);
  }
}

TEST_CASE("coded weights are copied and moved as values") {
  const auto weight =
      BlockWeight<float>::encoded(kernels::BlockFormat::Q8_0, random_matrix<float>(5, 64, 1));
  const Matrix<float> dense = weight.dense();
  BlockWeight<float> copy = weight;
  const BlockWeight<float> moved = std::move(copy);
  CHECK(same_bits(moved.dense(), dense));
  CHECK(moved.bytes() == weight.bytes());
}
