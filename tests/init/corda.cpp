#include <lora/init/corda.hpp>

#include <limits>

#include "support/golden.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("CorDA gives the factors and the base that PEFT's gives") {
  const Golden<float> golden("starts");
  CordaCovariance<float> inputs(9);
  for (const char* x : {"corda.x0", "corda.x1", "corda.x2"}) inputs.add(golden[x]);
  CHECK(inputs.samples() == 3);
  const auto check = [&](const std::string& at, CordaMethod method, const SvdOptions& options) {
    CAPTURE(at);
    const auto start = corda<float>(golden["corda.w"], 2, 1.5, inputs.mean(), method, options);
    CHECK(largest_difference((start.b * start.a).eval(), golden[at + ".ba"]) < 5e-5);
    CHECK(largest_difference(start.base, golden[at + ".base"]) < 5e-5);
  };
  check("corda.ipm", CordaMethod::ipm, {.exact = true});
  check("corda.ipm", CordaMethod::ipm, {.power_iterations = 16});
  check("corda.kpm", CordaMethod::kpm, {.exact = true});
}

TEST_CASE("CorDA refuses what it cannot start from by its name") {
  const Matrix<double> w = random_matrix<double>(4, 6, 1), eye = Matrix<double>::Identity(6, 6);
  const auto start = [&](Index rank, double scaling, const Matrix<double>& c) {
    return [&w, rank, scaling, &c] { static_cast<void>(corda<double>(w, rank, scaling, c)); };
  };
  const Matrix<double> zeros = Matrix<double>::Zero(6, 6), other = Matrix<double>::Identity(5, 5);
  check_throws<ConfigError>(start(5, 1, eye), "corda: rank is 5, expected 1 to 4");
  check_throws<ConfigError>(start(2, 0, eye), "corda: scaling is 0");
  check_throws<ConfigError>(start(2, 1, zeros),
                            "corda: covariance has numbers that are not finite");
  check_throws<ShapeError>(start(2, 1, other), "corda: covariance is (5, 5)");
  CordaCovariance<double> inputs(6);
  check_throws<StateError>([&] { static_cast<void>(inputs.mean()); }, "no samples");
  check_throws<ConfigError>([&] { inputs.add(zeros); }, "the largest number of x is 0");
  Matrix<double> bad = eye;
  bad(2, 3) = std::numeric_limits<double>::infinity();
  check_throws<ConfigError>([&] { inputs.add(bad); }, "not finite");
  check_throws<ConfigError>(start(2, 1, bad), "corda: covariance has numbers that are not finite");
}

TEST_CASE("CorDA damps a covariance that has no inverse") {
  const Matrix<double> w = random_matrix<double>(4, 6, 1), x = random_matrix<double>(2, 6, 2);
  CordaCovariance<double> inputs(6);
  inputs.add(x);
  const auto start = corda<double>(w, 2, 0.5, inputs.mean());
  CHECK(largest_difference((start.base + 0.5 * start.b * start.a).eval(), w) < 1e-13);
}
