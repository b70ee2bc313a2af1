#include <lora/train/trainer_options.hpp>

#include <cmath>
#include <limits>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::train;

TEST_CASE("options out of range are refused by name") {
  const auto refuse = [](const TrainerOptions& options, const std::string& what) {
    test::check_throws<ConfigError>([&] { validate(options); }, "Trainer: " + what);
  };
  CHECK_NOTHROW(validate(TrainerOptions{}));
  refuse({.epochs = 0}, "epochs is 0, expected at least 1");
  for (const double bad : {-0.1, 1.1, std::nan("")}) refuse({.warmup = bad}, "warmup is ");
  for (const double bad : {-0.1, std::numeric_limits<double>::infinity(), std::nan("")})
    refuse({.max_norm = bad}, "max_norm is ");
  refuse({.part_size = -1}, "part_size is -1");
  refuse({.checkpoint = {.path = "c"}}, "checkpoint.settings is empty");
  refuse({.checkpoint = {.every_steps = 3}}, "checkpoint.every_steps is 3");
}

TEST_CASE("every option that changes a run is among its settings") {
  const auto differs = [](const TrainerOptions& options) {
    return settings_of(options).text() != settings_of(TrainerOptions{}).text();
  };
  CHECK(differs({.epochs = 3}));
  CHECK(differs({.decay = Decay::cosine}));
  CHECK(differs({.warmup = 0.2}));
  CHECK(differs({.max_norm = 2}));
  CHECK(differs({.part_size = 1}));
  CHECK(differs({.early_stopping = {.better = Better::lower}}));
  // Where files go and when it stops make no other run.
  CHECK_FALSE(differs({.early_stopping = {.patience = 9}}));
  CHECK_FALSE(differs({.checkpoint = {.path = "c", .every_steps = 1}, .metrics = "m"}));
}
