#include <lora/layers/quantised_layer.hpp>

#include <limits>

#include <lora/frozen/four_bit_weight.hpp>

#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

const auto nf4 = [](ConstMatrixRef<float> w) { return NF4Weight<float>(w); };

double distance(const Matrix<float>& a, const Matrix<float>& b) {
  return static_cast<double>((a - b).norm());
}

}  // namespace

TEST_CASE("a layer that begins as LoftQ's or QPiSSA's is nearer to W than W's codes are") {
  const Matrix<float> w = random_matrix<float>(96, 128, 1), x = random_matrix<float>(7, 128, 2);
  const Vector<float> bias = random_matrix<float>(96, 1, 3);
  const Matrix<float> exact = (x * w.transpose()).rowwise() + bias.transpose();
  const double alone = distance(nf4(w).dense(), w);
  for (const LoRAConfig& config :
       {LoRAConfig{.rank = 16, .alpha = 16}, LoRAConfig{.rank = 16, .alpha = 64},
        LoRAConfig{.rank = 16, .alpha = 8, .dropout = 0.1, .use_rslora = true}}) {
    CAPTURE(config.scaling());
    const auto loftq = loftq_layer<float>(w, config, 4, nf4, {.rounds = 3}, bias);
    const auto qpissa = qpissa_layer<float>(w, config, 4, nf4, {}, bias);
    for (const auto* layer : {&loftq, &qpissa}) {
      CHECK(layer->config() == config);
      CHECK(layer->adapter().seed() == 4);
      CHECK(distance(layer->merged_weight(), w) < 0.9 * alone);
      Matrix<float> y;
      layer->forward(x, y);
      const Matrix<float> merged =
          (x * layer->merged_weight().transpose()).rowwise() + bias.transpose();
      CHECK(largest_difference(y, merged.cast<double>()) < 1e-4);
      CHECK(distance(y, exact) <
            0.95 * distance((x * nf4(w).dense().transpose()).rowwise() + bias.transpose(), exact));
    }
  }
}

TEST_CASE("such a layer trains") {
  const Matrix<float> w = random_matrix<float>(32, 64, 1), x = random_matrix<float>(5, 64, 2),
                      dy = random_matrix<float>(5, 32, 3);
  auto layer = loftq_layer<float>(w, {.rank = 4}, 1, nf4);
  Tape<float> tape;
  Matrix<float> y, dx;
  layer.forward(x, tape, y);
  layer.backward(x, dy, tape, dx);
  const Matrix<float> da = 2 * (dy * layer.lora_B().value).transpose() * x;
  CHECK(largest_difference(layer.lora_A().grad, da.cast<double>()) < 1e-4);
  CHECK(layer.lora_B().grad.norm() > 0);
}

TEST_CASE("a quantised layer refuses settings by their name") {
  const Matrix<float> w = random_matrix<float>(8, 64, 1);
  check_throws<ConfigError>([&] { static_cast<void>(loftq_layer<float>(w, {.rank = 0}, 1, nf4)); },
                            "loftq_layer: rank");
  check_throws<ConfigError>([&] { static_cast<void>(loftq_layer<float>(w, {.rank = 9}, 1, nf4)); },
                            "loftq: rank is 9, expected 1 to 8");
  check_throws<ConfigError>(
      [&] { static_cast<void>(qpissa_layer<float>(w, {.rank = 4, .alpha = 0}, 1, nf4)); },
      "qpissa: scaling is 0");
  check_throws<ShapeError>(
      [&] {
        const Vector<float> bias = Vector<float>::Zero(9);
        static_cast<void>(qpissa_layer<float>(w, {.rank = 4}, 1, nf4, {}, bias));
      },
      "bias has 9 elements");
}
