#include <lora/nn/rotary_frequencies.hpp>

#include <cmath>
#include <limits>
#include <string>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

namespace {

double frequency(const RotaryConfig& config, Index d, std::size_t i, Index length = 1) {
  return rotary_frequencies(config, d, length).at(i);
}

}  // namespace

TEST_CASE("frequencies fall from 1, and linear scaling divides them all") {
  const RotaryConfig plain{.theta = 10000};
  CHECK(rotary_frequencies(plain, 128, 9).size() == 64);
  CHECK(frequency(plain, 128, 0) == 1);
  CHECK(frequency(plain, 128, 32) == Approx(0.01).epsilon(1e-14));
  const RotaryConfig linear{.scaling = RotaryScaling::linear, .factor = 4};
  for (std::size_t i = 0; i < 64; ++i)
    CHECK(frequency(linear, 128, i) == frequency(plain, 128, i) / 4);
}

TEST_CASE("llama3's frequencies are transformers'") {
  // Of Llama 3.1 8B and Llama 3.2 1B, in float32.
  const RotaryConfig large{
      .theta = 5e5, .scaling = RotaryScaling::llama3, .factor = 8, .original_positions = 8192};
  for (const auto& [i, f] : {std::pair<std::size_t, double>{28, 3.21144611e-3},
                             {29, 2.16657063e-3},
                             {31, 8.5675146e-4},
                             {34, 1.78507791e-4},
                             {35, 9.55621217e-5},
                             {63, 3.06892588e-7}})
    CHECK(frequency(large, 128, i) == Approx(f).epsilon(4e-7));
  RotaryConfig small = large;
  small.factor = 32;
  for (const auto& [i, f] : {std::pair<std::size_t, double>{14, 3.21144611e-3},
                             {15, 1.29054801e-3},
                             {16, 4.29556705e-4},
                             {17, 9.70828623e-5},
                             {31, 9.41830649e-8}})
    CHECK(frequency(small, 64, i) == Approx(f).epsilon(4e-7));
}

TEST_CASE("dynamic scaling looks at the length, and only past the positions of pretraining") {
  const RotaryConfig dynamic{.scaling = RotaryScaling::dynamic, .factor = 2, .max_positions = 100};
  const RotaryConfig plain;
  CHECK(frequency(dynamic, 16, 3, 100) == frequency(plain, 16, 3));
  const RotaryConfig longer{.theta = 10000 * std::pow(2 * 3.0 - 1, 16.0 / 14)};
  CHECK(frequency(dynamic, 16, 3, 300) == Approx(frequency(longer, 16, 3)).epsilon(1e-14));
}

TEST_CASE("yarn keeps what turns often and divides what turns seldom") {
  const RotaryConfig yarn{.scaling = RotaryScaling::yarn, .factor = 4, .original_positions = 2048};
  const RotaryConfig plain;
  CHECK(frequency(yarn, 64, 0) == 1);
  CHECK(frequency(yarn, 64, 31) == Approx(frequency(plain, 64, 31) / 4).epsilon(1e-14));
  CHECK(rotary_magnitude(yarn) == Approx(1.138629436).epsilon(1e-9));
  RotaryConfig given = yarn;
  given.attention_factor = 0.5;
  CHECK(rotary_magnitude(given) == 0.5);
  CHECK(rotary_magnitude(plain) == 1);
}

TEST_CASE("rope types are known by transformers' names, longrope is refused by its own") {
  CHECK(rotary_scaling("default") == RotaryScaling::none);
  CHECK(rotary_scaling("linear") == RotaryScaling::linear);
  CHECK(rotary_scaling("dynamic") == RotaryScaling::dynamic);
  CHECK(rotary_scaling("llama3") == RotaryScaling::llama3);
  CHECK(rotary_scaling("yarn") == RotaryScaling::yarn);
  check_throws<ConfigError>([] { static_cast<void>(rotary_scaling("longrope")); },
                            "longrope is not built");
  check_throws<ConfigError>([] { static_cast<void>(rotary_scaling("Linear")); },
                            "rope_type is \"Linear\", expected default");
}

TEST_CASE("rotary settings out of range or missing are refused") {
  const auto refuses = [](const RotaryConfig& config, const std::string& part) {
    check_throws<ConfigError>([&] { validate(config, "here"); }, "here: " + part);
  };
  for (const double bad : {0.0, -1.0, std::nan(""), HUGE_VAL}) {
    refuses({.theta = bad}, "theta is ");
    refuses({.factor = bad}, "factor is ");
    refuses({.attention_factor = bad}, "attention_factor is ");
  }
  refuses({.theta = 1}, "theta is 1, expected more than 1");
  refuses({.scaling = RotaryScaling::linear, .factor = 0.5}, "factor is 0.5, expected at least 1");
  refuses({.scaling = RotaryScaling::dynamic}, "max_positions is 0");
  refuses({.scaling = RotaryScaling::yarn}, "original_positions is 0");
  refuses({.scaling = RotaryScaling::llama3}, "original_positions is 0");
  refuses({.scaling = RotaryScaling::llama3, .original_positions = 8, .high_freq_factor = 1},
          "high_freq_factor is 1, expected more than low_freq_factor");
  CHECK_NOTHROW(validate(RotaryConfig{}, "here"));
}

TEST_CASE("yarn's two scales divide each other where both are given") {
  const RotaryConfig plain{.scaling = RotaryScaling::yarn, .factor = 4, .original_positions = 8};
  CHECK(rotary_magnitude(plain) == Approx(1.138629436));
  RotaryConfig both = plain;
  both.mscale = 2;
  CHECK(rotary_magnitude(both) == rotary_magnitude(plain));
  both.mscale_all_dim = 0.5;
  CHECK(rotary_magnitude(both) == Approx((0.2 * std::log(4.0) + 1) / (0.05 * std::log(4.0) + 1)));
  both.attention_factor = 3;
  CHECK(rotary_magnitude(both) == 3);
  both.mscale = -1;
  CHECK_THROWS_AS(validate(both, "test"), ConfigError);
}

TEST_CASE("frequency factors divide what else was computed, one each") {
  RotaryConfig config{.theta = 100};
  const std::vector<double> plain = rotary_frequencies(config, 4, 1);
  config.frequency_factors = {1, 8};
  const std::vector<double> divided = rotary_frequencies(config, 4, 1);
  CHECK(divided[0] == plain[0]);
  CHECK(divided[1] == plain[1] / 8);
  CHECK_THROWS_AS(rotary_frequencies(config, 6, 1), ShapeError);
  config.frequency_factors[1] = 0;
  CHECK_THROWS_AS(validate(config, "test"), ConfigError);
}
