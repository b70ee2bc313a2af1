#include <lora/optim/adalora_config.hpp>

#include <cmath>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("the scaling of AdaLoRA is that of PEFT, whatever ranks are left") {
  const AdaLoRAConfig config{.init_r = 12, .total_step = 1, .alpha = 32, .dropout = 0.1};
  CHECK(config.scaling() == 32 / (12 + 1e-5));
  for (const Index rank : {1, 5, 12}) {
    const LoRAConfig plain = config.lora_config(rank);
    CHECK(plain.rank == rank);
    CHECK(plain.dropout == 0.1);
    CHECK(std::abs(plain.scaling() - config.scaling()) < 1e-15);
  }
}

TEST_CASE("settings of AdaLoRA that cannot train are refused") {
  const AdaLoRAConfig good{.total_step = 10, .tinit = 4, .tfinal = 5};
  CHECK_NOTHROW(validate(good, "here"));
  const auto with = [&](auto member, auto value) {
    AdaLoRAConfig config = good;
    config.*member = value;
    return [config] { validate(config, "here"); };
  };
  using Config = AdaLoRAConfig;
  check_throws<ConfigError>(with(&Config::init_r, 0), "here: init_r is 0, expected at least 1");
  check_throws<ConfigError>(with(&Config::target_r, 13), "target_r is 13, expected 1 to init_r");
  check_throws<ConfigError>(with(&Config::target_r, 0), "target_r is 0");
  check_throws<ConfigError>(with(&Config::total_step, 0U), "total_step is 0");
  check_throws<ConfigError>(with(&Config::tinit, 5U), "tinit + tfinal is 10, expected less than");
  check_throws<ConfigError>(with(&Config::tfinal, 10U), "tinit + tfinal is 14");
  check_throws<ConfigError>([] { validate(AdaLoRAConfig{.total_step = 1}, "here"); },
                            "total_step - tfinal is 1, expected at least 2");
  check_throws<ConfigError>(with(&Config::delta_t, 0U), "delta_t is 0");
  check_throws<ConfigError>(with(&Config::beta1, 1.0), "beta1 is 1");
  check_throws<ConfigError>(with(&Config::beta2, std::nan("")), "beta2 is nan");
  check_throws<ConfigError>(with(&Config::orth_reg_weight, -1.0), "orth_reg_weight is -1");
  check_throws<ConfigError>(with(&Config::alpha, 0.0), "alpha is 0");
  check_throws<ConfigError>(with(&Config::dropout, 1.0), "dropout is 1");
}
