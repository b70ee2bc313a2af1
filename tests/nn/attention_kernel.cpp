#include <lora/nn/attention_kernel.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

// One query of each head of a group is computed as one product, several as a product each.
TEST_CASE("the heads of a key head together give what each of them gives") {
  const AttentionConfig config{.heads = 6, .head_features = 5, .kv_heads = 2, .causal = true};
  const AttentionKernel<double> kernel(config);
  const Matrix<double> k = random_matrix<double>(9, 10, 2), v = random_matrix<double>(9, 10, 3);
  for (const Index queries : {1, 3}) {
    const Matrix<double> q = random_matrix<double>(queries, 30, 1);
    Matrix<double> together = Matrix<double>::Zero(queries, 30), alone = together;
    AttentionHead at{
        nullptr, nullptr, {0, queries, 0, queries, queries, false}, {0, 9, 0, 9, 9, false}, 0,
        true,    0};
    for (at.head = 0; at.head < 2; ++at.head) kernel.forward_group(at, q, k, v, together);
    for (at.head = 0; at.head < 6; ++at.head) kernel.forward(at, q, k, v, alone, nullptr, nullptr);
    CHECK(largest_difference(together, alone) < 1e-14);
    CHECK(together.norm() > 0.1);
  }
}

TEST_CASE("rows outside of a sequence's tokens are set to zero") {
  const AttentionKernel<double> kernel({.heads = 2, .head_features = 3});
  Matrix<double> out = Matrix<double>::Ones(4, 6);
  kernel.zero_rows({1, 3, 0, 3, 3, false}, 1, 1, 3, out);
  CHECK(out.sum() == 24 - 6);
  CHECK(out.block(2, 3, 2, 3).isZero(0));
}
