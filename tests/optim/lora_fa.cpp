#include <lora/optim/lora_fa.hpp>

#include <vector>

#include <lora/layers/lora_linear.hpp>

#include "support/allocations.hpp"
#include "support/golden.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("LoRA-FA steps as PEFT's does") {
  const Golden<double> golden("lora_optimizers");
  const LoRAConfig config{.rank = 3, .alpha = 6, .freeze_a = true};
  LoRALinear<double> layer(DenseWeight<double>(Matrix<double>::Zero(5, 6)), config, 1);
  layer.replace_adapter(config, golden["fa.a"], golden["fa.b"]);
  LoRAFA<double> optimizer({.learning_rate = 1e-2, .epsilon = 1e-6, .weight_decay = 0}, {layer});
  for (int step = 0; step < 4; ++step) {
    const std::string number = std::to_string(step);
    layer.lora_B().grad = golden["fa.db" + number];
    // PEFT decays what the step has made.
    optimizer.step(layer.parameters());
    layer.lora_B().value *= 1 - 1e-2 * 0.1;
    // PEFT's epsilon stands elsewhere, and its numbers are floats.
    CHECK(largest_difference(layer.lora_B().value, golden["fa.b" + number]) < 2e-6);
    CHECK(same_bits(layer.lora_A().value, golden["fa.a"]));
  }
  const auto state = optimizer.state();
  CHECK(state.steps.size() == 1);
  LoRAFA<double> other({.learning_rate = 1}, {layer});
  other.set_state(state);
  CHECK(other.learning_rate() == 1e-2);
}

TEST_CASE("LoRA-FA refuses layers that it is not for") {
  LoRALinear<float> layer(DenseWeight<float>(random_matrix<float>(4, 5, 1)), {.rank = 2}, 1);
  layer.set_name("fc");
  check_throws<ConfigError>([&] { LoRAFA<float>({}, {layer}); }, "fc (LoRAFA): A trains");
  check_throws<ConfigError>([] { LoRAFA<float>({}, {}); }, "LoRAFA: there are no layers");
  LoRALinear<float> silent(layer.weight(), {.rank = 2, .alpha = 0, .freeze_a = true}, 1);
  check_throws<ConfigError>([&] { LoRAFA<float>({}, {silent}); }, "LoRAFA: the scaling is 0");
}

TEST_CASE("a layer whose A is frozen trains B without x, as it would with A beside it") {
  const Matrix<float> w = random_matrix<float>(40, 300, 1), x = random_matrix<float>(70, 300, 2),
                      dy = random_matrix<float>(70, 40, 3);
  for (const double dropout : {0.0, 0.25}) {
    CAPTURE(dropout);
    LoRALinear<float> layer(DenseWeight<float>(w), {.rank = 4, .dropout = dropout}, 1);
    layer.lora_B().value = random_matrix<float>(40, 4, 4);
    LoRALinear<float> frozen(DenseWeight<float>(w),
                             {.rank = 4, .dropout = dropout, .freeze_a = true}, 1);
    frozen.lora_B().value = layer.lora_B().value;
    CHECK(frozen.parameters().size() == 1);
    CHECK(frozen.trainable_parameters() == 40 * 4);
    CHECK(frozen.total_parameters() == layer.total_parameters());

    Tape<float> tape;
    Matrix<float> y, dx, frozen_dx;
    layer.forward(x, tape, y);
    layer.backward(x, dy, tape, dx);
    for (const bool with_x : {true, false})
      for (const bool with_dx : {true, false}) {
        frozen.lora_B().zero_grad();
        Matrix<float> gone = x;
        Tape<float> other;  // whose first masks are those of the first
        frozen.forward(gone, other, y);
        gone.setConstant(7);  // nobody reads it any more
        if (with_x && with_dx) frozen.backward(gone, dy, other, frozen_dx);
        if (with_x && !with_dx) frozen.backward(gone, dy, other);
        if (!with_x && with_dx) frozen.backward(dy, other, frozen_dx);
        if (!with_x && !with_dx) frozen.backward(dy, other);
        CHECK(same_bits(frozen.lora_B().grad, layer.lora_B().grad));
        CHECK(frozen.lora_A().grad.isZero(0));
        if (with_dx) CHECK(same_bits(frozen_dx, dx));
      }

    layer.forward(x, tape, y);
    check_throws<StateError>([&] { layer.backward(dy, tape, dx); },
                             "LoRALinear::backward: the gradient of A needs x");
    layer.backward(x, dy, tape);
    frozen.forward(x, tape, y);
    frozen.lora_A().value *= 2;
    check_throws<StateError>([&] { frozen.backward(dy, tape, dx); }, "the elements of A are not");
  }
  // A frozen layer needs no x either.
  LoRALinear<float> plain(DenseWeight<float>{w});
  Tape<float> tape;
  Matrix<float> y, dx;
  plain.forward(x, tape, y);
  plain.backward(dy, tape, dx);
  CHECK(largest_difference(dx, (dy * w).eval()) < 1e-4);
}

TEST_CASE("a chain of layers that freeze A keeps rank numbers of each row, and nothing of x") {
  const Index n = 64, wide = 256, rank = 4;
  std::vector<LoRALinear<float>> frozen, layers;
  for (std::uint64_t seed = 0; seed < 4; ++seed) {
    const DenseWeight<float> weight(Matrix<float>(random_matrix<float>(wide, wide, seed) / 16));
    layers.emplace_back(weight, LoRAConfig{.rank = rank}, seed);
    frozen.emplace_back(weight, LoRAConfig{.rank = rank, .freeze_a = true}, seed);
    layers.back().lora_B().value = random_matrix<float>(wide, rank, seed);
    frozen.back().lora_B().value = layers.back().lora_B().value;
  }
  const Matrix<float> x = random_matrix<float>(n, wide, 9), dy = random_matrix<float>(n, wide, 8);
  // Where A trains, all that stands between the layers is kept; here there are two places.
  std::vector<Matrix<float>> kept(5);
  Tape<float> tape, small;
  Matrix<float> even, odd, gradient = dy, dx;
  kept[0] = x;
  for (std::size_t i = 0; i < 4; ++i) layers[i].forward(kept[i], tape, kept[i + 1]);
  for (std::size_t i = 4; i-- > 0;) {
    layers[i].backward(kept[i], gradient, tape, dx);
    gradient.swap(dx);
  }
  const auto step = [&] {
    even = x;
    for (std::size_t i = 0; i < 4; ++i)
      frozen[i].forward(i % 2 == 0 ? even : odd, small, i % 2 == 0 ? odd : even);
    odd = dy;
    for (std::size_t i = 4; i-- > 0;)
      frozen[i].backward(i % 2 == 0 ? even : odd, small, i % 2 == 0 ? odd : even);
  };
  step();
  for (std::size_t i = 0; i < 4; ++i)
    CHECK(same_bits(frozen[i].lora_B().grad, layers[i].lora_B().grad));
  CHECK(small.bytes() <= 2 * 4 * static_cast<std::size_t>(n * rank) * sizeof(float));
  const Threads threads(countable_threads(2));
  step();
  // A BLAS behind Eigen takes memory as it likes.
  if (!kernels::blas_multiplies) CHECK(allocations_of(step).count == 0);
}
