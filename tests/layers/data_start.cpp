#include <lora/layers/data_start.hpp>

#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a layer that starts from data computes what it did") {
  const Matrix<double> w = random_matrix<double>(6, 8, 1), x = random_matrix<double>(20, 8, 2),
                       dy = random_matrix<double>(20, 6, 3);
  const auto make = [&] {
    LoRALinear<double> layer(DenseWeight<double>(w), {.rank = 3, .alpha = 4}, 1);
    layer.set_name("fc");
    return layer;
  };
  CordaCovariance<double> inputs(8);
  inputs.add(x);
  WeightGradient<double> gradient(6, 8);
  gradient.add(x, dy);
  auto corda = make(), lora_ga = make();
  const auto corda_start = start_corda(corda, inputs.mean(), CordaMethod::kpm);
  const auto lora_ga_start = start_lora_ga(lora_ga, gradient.mean());
  CHECK(corda.config().init == LoRAInit::corda);
  CHECK(lora_ga.config().init == LoRAInit::lora_ga);
  CHECK(same_bits(corda.lora_A().value, corda_start.a));
  CHECK(same_bits(lora_ga.lora_B().value, lora_ga_start.b));
  for (const auto* layer : {&corda, &lora_ga}) {
    CHECK(largest_difference(layer->merged_weight(), w) < 1e-13);
    CHECK(largest_difference(layer->weight().dense(), w) > 1e-3);
  }
  auto other = make();
  check_throws<ShapeError>([&] { start_corda(other, w); }, "corda: covariance is (6, 8)");
  check_throws<ConfigError>([&] { start_lora_ga(other, Matrix<double>(0 * w)); },
                            "fc: lora_ga: the gradient has fewer than 6 directions");
  CHECK(same_bits(other.weight().dense(), w));
}
