#include <lora/layers/eva.hpp>

#include "support/golden.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("EVA gives the ranks, the alphas and the factors that PEFT's gives") {
  const Golden<float> golden("starts");
  for (const bool plain : {false, true}) {
    const std::string at = plain ? "eva_plain" : "eva";
    CAPTURE(at);
    const LoRAConfig config{.rank = 2, .alpha = 3};
    EvaStarts<float> eva({config, config}, {8, 8},
                         {.whiten = plain, .adjust_scaling = !plain, .svd = {.exact = true}});
    for (const bool second : {false, true}) {
      CHECK(!eva.converged());
      eva.add(0, golden[at + ".x"]);
      eva.add(1, golden[at + ".h"]);
      CHECK(eva.converged() == second);
    }
    const auto starts = eva.finish();
    REQUIRE(starts.size() == 2);
    CHECK(starts[0].config.rank == 3);
    CHECK(starts[1].config.rank == 1);
    for (const auto& [start, name] :
         {std::pair(starts[0], ".first"), std::pair(starts[1], ".second")}) {
      CHECK(start.config.init == LoRAInit::eva);
      CHECK(std::abs(*start.config.alpha -
                     static_cast<double>(golden[at + name + ".alpha"](0, 0))) < 1e-12);
      CHECK(largest_difference(start.a, golden[at + name + ".a"]) < 2e-5);
    }
  }
}

TEST_CASE("a layer starts from what EVA found, and one that explains nothing has no adapter") {
  const LoRAConfig config{.rank = 2, .dropout = 0.25};
  LoRALinear<double> wide(DenseWeight<double>(random_matrix<double>(3, 6, 1)), config, 1),
      flat = wide;
  EvaStarts<double> eva({config, config}, {6, 6});
  eva.add(0, random_matrix<double>(20, 6, 2));
  check_throws<StateError>([&] { static_cast<void>(eva.finish()); },
                           "no inputs of layer 1 were added");
  eva.add(1, Matrix<double>(Matrix<double>::Ones(3, 6)));
  const auto starts = eva.finish();
  const Matrix<double> before = wide.merged_weight();
  start_eva(wide, starts[0]);
  start_eva(flat, starts[1]);
  CHECK(wide.config() == LoRAConfig{.rank = 4, .alpha = 8, .dropout = 0.25, .init = LoRAInit::eva});
  CHECK(same_bits(wide.lora_A().value, starts[0].a));
  CHECK(same_bits(wide.merged_weight(), before));
  CHECK(!flat.has_adapter());
  check_throws<StateError>([&] { start_eva(flat, starts[1]); }, "start_eva: no adapter is active");
}

TEST_CASE("EVA refuses settings that it cannot begin with") {
  const LoRAConfig config{.rank = 2};
  check_throws<ConfigError>([&] { EvaStarts<float>({config}, {4}, {.rho = 0.5}); }, "rho is 0.5");
  check_throws<ConfigError>([&] { EvaStarts<float>({config}, {4, 5}); }, "1 settings and 2");
  check_throws<ConfigError>([&] { EvaStarts<float>({{.rank = 0}}, {4}); }, "rank is 0");
  EvaStarts<float> eva({config}, {4});
  check_throws<ConfigError>([&] { eva.add(1, random_matrix<float>(1, 4, 1)); }, "layer is 1");
}
