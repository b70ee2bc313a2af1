#include <lora/adapters/stacked_adapter.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a stacked adapter's update is the weighted sum of the others'") {
  const LoRAAdapter<double> one({.rank = 2}, random_matrix<double>(2, 5, 1),
                                random_matrix<double>(4, 2, 2)),
      other({.rank = 3}, random_matrix<double>(3, 5, 3), random_matrix<double>(4, 3, 4));
  StackedAdapter<double> stack;
  CHECK(stack.empty());
  stack.add(one, 0.5);
  stack.add(other, -2);
  const LoRAAdapter<double> sum = std::move(stack).adapter();
  CHECK(sum.rank() == 5);
  const Matrix<double> expected =
      0.5 * one.b().value * one.a().value - 2 * other.b().value * other.a().value;
  const Matrix<double> seen = sum.config().scaling() * sum.b().value * sum.a().value;
  CHECK(largest_difference(seen, expected) < 1e-14);
}

TEST_CASE("adapters of different layers are not stacked") {
  StackedAdapter<float> stack;
  stack.add(LoRAAdapter<float>(4, 5, {.rank = 2}, 1), 1);
  check_throws<ShapeError>([&] { stack.add(LoRAAdapter<float>(4, 6, {.rank = 2}, 1), 1); },
                           "StackedAdapter::add: A is (2, 6)");
  check_throws<ShapeError>([&] { stack.add(LoRAAdapter<float>(3, 5, {.rank = 2}, 1), 1); },
                           "StackedAdapter::add: B is (3, 2)");
  check_throws<ConfigError>(
      [&] { stack.add(LoRAAdapter<float>(4, 5, {.rank = 2, .lora_bias = true}, 1), 1); },
      "StackedAdapter::add: the adapter has lora_bias");
  check_throws<ConfigError>(
      [&] { stack.add(LoRAAdapter<float>(4, 5, {.rank = 2, .use_dora = true}, 1), 1); },
      "StackedAdapter::add: the adapter has use_dora");
}
