#include <lora/peft/resize_adapter.hpp>

#include "peft/small_adapter.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

TEST_CASE("every module gets the rank, and the error says what is missing") {
  auto adapter = small_adapter(3, 6, 1);
  adapter.others["head.weight"] = {Matrix<float>::Ones(2, 3), {2, 3}};
  for (const Index rank : {1, 2, 3, 5}) {
    const auto made = resize_adapter(adapter, {.rank = rank});
    for (const auto& [name, report] : made.modules) {
      const Matrix<float> before = adapter.modules.at(name).delta();
      const auto& factors = made.adapter.modules.at(name);
      CHECK(report.rank_before == 3);
      CHECK(report.rank == rank);
      CHECK(factors.a.shape == io::Shape{rank, 6});
      CHECK(report.norm == Approx(before.norm()));
      CHECK((factors.delta() - before).norm() == Approx(report.error).margin(1e-5));
      CHECK(made.adapter.config.layer_config(name).scaling() == 1);
    }
    CHECK(made.adapter.others.size() == 1);
    CHECK(made.adapter.config.r == rank);
  }
}

TEST_CASE("an energy gives each module a rank of its own") {
  auto adapter = small_adapter(3, 6, 1);
  adapter.modules.at("block.q").a.value.bottomRows(2).setZero();
  const auto made = resize_adapter(adapter, {.energy = 0.99999});
  CHECK(made.modules.at("block.q").rank == 1);
  CHECK(made.modules.at("block.v").rank == 3);
  CHECK(made.adapter.config.layer_config("block.q").rank == 1);
  CHECK(made.adapter.config.layer_config("block.v").rank == 3);
  CHECK(made.modules.at("block.v").relative_error() < 0.01);
}

TEST_CASE("bad choices and factors are refused by their module") {
  auto adapter = small_adapter(3, 6, 1);
  const auto refused = [&](const RankChoice& choice, const std::string& why) {
    check_throws<ConfigError>([&] { static_cast<void>(resize_adapter(adapter, choice)); }, why);
  };
  refused({.rank = 0}, "resize_adapter: rank is 0");
  adapter.config.init_lora_weights = "pissa";
  refused({.rank = 1}, "resize_adapter: the adapter began with pissa");
  adapter.config.init_lora_weights = true;
  adapter.modules.at("block.v").b.value(1, 1) = std::numeric_limits<float>::quiet_NaN();
  refused({.rank = 1}, "resize_adapter: \"block.v\": B of the update has a number");
  adapter.modules.at("block.q").b.value.resize(4, 1);
  check_throws<ShapeError>([&] { static_cast<void>(resize_adapter(adapter, {.rank = 1})); },
                           "A and B of \"block.q\" are");
}
