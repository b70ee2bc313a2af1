#include <lora/optim/schedule.hpp>

#include <cmath>
#include <limits>

#include "support/catch.hpp"
#include "support/golden.hpp"

using namespace lora;

TEST_CASE("schedules are those of transformers") {
  const test::Golden<double> golden("schedules_f64");
  const auto check = [&](const std::string& name, const ScheduleConfig& config) {
    CAPTURE(name);
    const Schedule schedule(config);
    const auto& rates = golden[name];
    REQUIRE(rates.size() == 24);
    for (Index step = 0; step < rates.size(); ++step)
      CHECK(std::abs(schedule.at(static_cast<std::uint64_t>(step)) - rates(0, step)) <=
            4 * config.peak * std::numeric_limits<double>::epsilon());
  };
  check("constant", {.decay = Decay::constant, .peak = 2e-3, .warmup_steps = 5});
  check("linear", {.decay = Decay::linear, .peak = 2e-3, .warmup_steps = 5, .total_steps = 23});
  check("cosine", {.decay = Decay::cosine, .peak = 2e-3, .warmup_steps = 5, .total_steps = 23});
  check("linear_without_warmup", {.decay = Decay::linear, .peak = 2e-3, .total_steps = 23});
}

TEST_CASE("past its end a schedule stays at zero") {
  for (const Decay decay : {Decay::linear, Decay::cosine}) {
    const Schedule schedule({.decay = decay, .peak = 1, .warmup_steps = 2, .total_steps = 10});
    CHECK(schedule.at(10) == 0);
    CHECK(schedule.at(15) == 0);
    CHECK(schedule.at(std::numeric_limits<std::uint64_t>::max()) == 0);
  }
  CHECK(Schedule({.peak = 3}).at(1000000) == 3);
}

TEST_CASE("a schedule refuses settings that make none") {
  CHECK_THROWS_AS(Schedule({.peak = -1}), ConfigError);
  CHECK_THROWS_AS(Schedule({.peak = std::nan("")}), ConfigError);
  CHECK_THROWS_AS(Schedule({.decay = Decay::linear}), ConfigError);
  CHECK_THROWS_AS(Schedule({.decay = Decay::cosine, .warmup_steps = 9, .total_steps = 8}),
                  ConfigError);
}
