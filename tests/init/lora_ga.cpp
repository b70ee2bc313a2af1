#include <lora/init/lora_ga.hpp>

#include "support/golden.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("LoRA-GA gives PEFT's factors, but for the signs of directions") {
  const Golden<float> golden("starts");
  WeightGradient<float> mean(6, 9);
  for (const std::string i : {"0", "1"})
    mean.add(golden["lora_ga.x" + i], golden["lora_ga.dy" + i]);
  const Matrix<float>& w = golden["lora_ga.w"];
  const auto check = [&](const std::string& at, LoRAGADirection direction, LoRAGAScale scale) {
    CAPTURE(at);
    const auto start = lora_ga<float>(
        w, 2, 1.5, mean.mean(), {.direction = direction, .scale = scale, .svd = {.exact = true}});
    CHECK(largest_difference(start.a.cwiseAbs(), golden["lora_ga." + at + ".a"]) < 2e-5);
    // PEFT's search for W's largest singular value is short.
    const double tolerance = scale == LoRAGAScale::weight_svd ? 1e-2 : 2e-5;
    CHECK(largest_difference(start.b.cwiseAbs(), golden["lora_ga." + at + ".b"]) < tolerance);
    CHECK(largest_difference((start.base + 1.5F * start.b * start.a).eval(), w) < 1e-5);
  };
  check("ArB2r.stable", LoRAGADirection::ArB2r, LoRAGAScale::stable);
  check("A2rBr.weight_svd", LoRAGADirection::A2rBr, LoRAGAScale::weight_svd);
  check("ArBr.gd_scale", LoRAGADirection::ArBr, LoRAGAScale::gd_scale);
  check("ArB2r.unit", LoRAGADirection::ArB2r, LoRAGAScale::unit);
}

TEST_CASE("LoRA-GA draws the same directions for A and B") {
  const Matrix<double> w = random_matrix<double>(8, 10, 1), g = random_matrix<double>(8, 10, 2);
  const auto draw = [&](std::uint64_t seed) {
    return lora_ga<double>(w, 2, 1, g,
                           {.direction = LoRAGADirection::random,
                            .scale = LoRAGAScale::unit,
                            .svd = {.exact = true},
                            .seed = seed});
  };
  const auto start = draw(1);
  // A triple's B is G times its A.
  CHECK(largest_difference(start.b, (g * start.a.transpose()).eval()) < 1e-12);
  CHECK((start.a - draw(2).a).norm() > 0.1);
  CHECK(same_bits(start.a, draw(1).a));
}

TEST_CASE("LoRA-GA refuses what it cannot start from by its name") {
  const Matrix<float> w = random_matrix<float>(6, 9, 1), g = random_matrix<float>(6, 9, 2),
                      zeros = Matrix<float>::Zero(6, 9), other = Matrix<float>::Zero(6, 8);
  const auto start = [&](Index rank, double scaling, const Matrix<float>& gradient,
                         const LoRAGAOptions& options = {}) {
    return [&, rank, scaling, options] {
      static_cast<void>(lora_ga<float>(w, rank, scaling, gradient, options));
    };
  };
  check_throws<ConfigError>(start(4, 1, g), "lora_ga: rank is 4, expected 1 to 3");
  check_throws<ConfigError>(start(2, 0, g, {.scale = LoRAGAScale::gd_scale}), "scaling is 0");
  check_throws<ConfigError>(start(2, 1, g, {.stable_gamma = 0}), "stable_gamma is 0");
  check_throws<ConfigError>(start(2, 1, zeros), "the gradient has fewer than 4 directions");
  check_throws<ShapeError>(start(2, 1, other), "lora_ga: gradient is (6, 8)");
  check_throws<StateError>([] { static_cast<void>(WeightGradient<float>(2, 2).mean()); },
                           "no batches");
}
