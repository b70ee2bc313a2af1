#include <lora/train/early_stopping.hpp>

#include <limits>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::train;

TEST_CASE("training stops when the score has not risen for so many epochs") {
  EarlyStopping stopping({.patience = 2});
  CHECK_FALSE(stopping.is_time());
  CHECK(stopping.add(-5));  // whatever it is, the first is the best so far
  CHECK(stopping.add(60));
  CHECK_FALSE(stopping.add(60));
  CHECK_FALSE(stopping.is_time());
  CHECK_FALSE(stopping.add(55));
  CHECK(stopping.is_time());
  CHECK(stopping.state() == EarlyStopping::State{4, 2, 60});
  CHECK(stopping.add(61));
  CHECK_FALSE(stopping.is_time());
}

TEST_CASE("a loss is the better the lower it is") {
  EarlyStopping stopping({.patience = 1, .better = Better::lower});
  CHECK(stopping.add(0.5));
  CHECK(stopping.add(0.25));
  CHECK_FALSE(stopping.add(0.5));
  CHECK(stopping.is_time());
  CHECK(stopping.state().best_score == 0.25);
}

TEST_CASE("a score that is no number is never the best") {
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  EarlyStopping stopping({.patience = 3});
  CHECK_FALSE(stopping.add(nan));
  CHECK(stopping.add(1));
  CHECK_FALSE(stopping.add(nan));
  CHECK(stopping.state() == EarlyStopping::State{3, 2, 1});
  EarlyStopping never({.patience = 2});
  CHECK_FALSE(never.add(nan));
  CHECK_FALSE(never.add(nan));
  CHECK(never.is_time());
}

TEST_CASE("without patience to lose training never stops early") {
  EarlyStopping stopping({.patience = 0});
  for (int epoch = 0; epoch < 50; ++epoch) stopping.add(0);
  CHECK_FALSE(stopping.is_time());
}

TEST_CASE("what was saved goes on, and what cannot be is refused") {
  EarlyStopping stopping({.patience = 2});
  stopping.set_state({5, 4, 0.5});
  CHECK_FALSE(stopping.is_time());
  CHECK_FALSE(stopping.add(0.5));
  CHECK(stopping.is_time());
  for (const EarlyStopping::State& bad : {EarlyStopping::State{-1, 0, 0}, {1, 2, 0}, {3, -1, 0}})
    lora::test::check_throws<ConfigError>([&] { stopping.set_state(bad); }, "the best epoch is ");
  CHECK(stopping.state() == EarlyStopping::State{6, 4, 0.5});
  lora::test::check_throws<ConfigError>([] { EarlyStopping({.patience = -1}); }, "patience is -1");
}
