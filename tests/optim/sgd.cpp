#include <lora/optim/sgd.hpp>

#include "contracts/optimizer.hpp"
#include "optim/golden_runs.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("SGD's steps are PyTorch's to the last digit", "", float, double) {
  using T = TestType;
  check_golden_run<T>("sgd_plain", SGD<T>({.learning_rate = 0.1, .weight_decay = 0.05}), 4);
  // Velocities carry what was fused: 5 with clang 14, under 4 with GCC 12.
  check_golden_run<T>(
      "sgd_momentum",
      SGD<T>({.learning_rate = 0.1, .momentum = 0.9, .dampening = 0.1, .weight_decay = 0.05}), 8);
  check_golden_run<T>("sgd_nesterov",
                      SGD<T>({.learning_rate = 0.1, .momentum = 0.8, .nesterov = true}), 4);
}

TEMPLATE_TEST_CASE("SGD keeps the contract of an optimizer", "", float, double) {
  check_optimizer<TestType>([] { return SGD<TestType>({.momentum = 0.9}); });
  check_optimizer<TestType>([] { return SGD<TestType>({.momentum = 0}); });
}

TEST_CASE("SGD refuses settings out of range") {
  CHECK_THROWS_AS(SGD<float>({.learning_rate = -1}), ConfigError);
  CHECK_THROWS_AS(SGD<float>({.momentum = -0.1}), ConfigError);
  CHECK_THROWS_AS(SGD<float>({.dampening = std::nan("")}), ConfigError);
  CHECK_THROWS_AS(SGD<float>({.weight_decay = -1}), ConfigError);
  CHECK_THROWS_AS(SGD<float>({.nesterov = true}), ConfigError);
  CHECK_THROWS_AS(SGD<float>({.momentum = 0.9, .dampening = 0.1, .nesterov = true}), ConfigError);
}
