#pragma once

#include <lora/frozen/dense_weight.hpp>
#include <lora/frozen/frozen_weight.hpp>
#include <lora/layers/lora_linear.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

namespace lora::test {

/// Checks that an adapter over `weight` trains as one over its dense copy: outputs, gradients and
/// the merged copy are the same, for few rows and for many.
template <FrozenWeight<float> Weight>
void check_adapter_over(const Weight& weight) {
  const Index out = weight.out_features(), in = weight.in_features(), rank = 4;
  LoRALinear<float, Weight> layer(weight, {.rank = rank}, 5);
  LoRALinear<float> plain(DenseWeight<float>(weight.dense()), {.rank = rank}, 5);
  layer.lora_B().value = random_matrix<float>(out, rank, 4);
  plain.lora_B().value = layer.lora_B().value;
  for (const Index n : {1, 9, 19}) {
    CAPTURE(n);
    const Matrix<float> x = random_matrix<float>(n, in, 2), dy = random_matrix<float>(n, out, 3);
    const auto step = [&](auto& one, Matrix<float>& y, Matrix<float>& dx) {
      Tape<float> tape;
      one.lora_A().grad.setZero();
      one.lora_B().grad.setZero();
      one.forward(x, tape, y);
      one.backward(x, dy, tape, dx);
    };
    Matrix<float> y, dx, plain_y, plain_dx;
    step(layer, y, dx);
    step(plain, plain_y, plain_dx);
    CHECK(largest_difference(y, plain_y) <= Tolerance<float>(in + rank).value);
    CHECK(largest_difference(dx, plain_dx) <= Tolerance<float>(out + rank).value);
    CHECK(largest_difference(layer.lora_A().grad, plain.lora_A().grad) <=
          Tolerance<float>(out).value);
    CHECK(largest_difference(layer.lora_B().grad, plain.lora_B().grad) <=
          Tolerance<float>(in).value);
  }
  CHECK(largest_difference(layer.merged_weight(), plain.merged_weight()) <=
        Tolerance<float>(rank).value);
}

}  // namespace lora::test
