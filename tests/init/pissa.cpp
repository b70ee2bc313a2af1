#include <lora/init/pissa.hpp>

#include <limits>
#include <string>

#include "support/golden.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("PiSSA gives the factors and the base that PEFT's gives") {
  const Golden<float> golden("starts");
  const auto check = [&](const std::string& at, const std::string& weight, Index rank,
                         double scaling, const SvdOptions& options, double tolerance = 5e-6) {
    CAPTURE(at);
    const auto start = pissa<float>(golden[weight], rank, scaling, options);
    CHECK(largest_difference((start.b * start.a).eval(), golden[at + ".ba"]) < tolerance);
    CHECK(largest_difference(start.base, golden[at + ".base"]) < tolerance);
  };
  for (const std::string name : {"wide", "tall"}) {
    check(name + ".pissa", name + ".w", 4, 1.5, {.exact = true});
    check(name + ".pissa_rslora", name + ".w", 4, 3, {.exact = true});
    // PEFT looks for no more directions than the rank, so its search ends a little further away.
    check(name + ".pissa_niter_16", name + ".w", 4, 1.5, {.power_iterations = 16}, 5e-5);
  }
  check("conv1d.pissa", "conv1d.w", 3, 2, {.exact = true});
}

TEST_CASE("PiSSA splits W, with factors of one size, whatever the scaling is") {
  const Matrix<double> w = random_matrix<double>(7, 11, 1);
  for (const double scaling : {0.25, 2.0, -1.0}) {
    const auto start = pissa<double>(w, 3, scaling);
    CHECK(largest_difference((start.base + scaling * start.b * start.a).eval(), w) < 1e-14);
    CHECK(std::abs(start.a.norm() - start.b.norm()) < 1e-12);
  }
  // All of W moves where the rank is full.
  CHECK(pissa<double>(w, 7, 1).base.norm() < 1e-13);
}

TEST_CASE("PiSSA gives the same bits for any number of threads") {
  const Matrix<float> w = random_matrix<float>(96, 130, 1);
  for (const bool exact : {true, false}) {
    const auto run = [&](int count) {
      const Threads threads(count);
      return pissa<float>(w, 8, 2, {.exact = exact});
    };
    const auto one = run(1), three = run(3);
    CHECK(same_bits(one.a, three.a));
    CHECK(same_bits(one.b, three.b));
    CHECK(same_bits(one.base, three.base));
  }
}

TEST_CASE("PiSSA refuses what it cannot start from by its name") {
  Matrix<float> w = random_matrix<float>(4, 6, 1);
  const auto refuses = [&](Index rank, double scaling, const std::string& part) {
    check_throws<ConfigError>([&] { static_cast<void>(pissa<float>(w, rank, scaling)); }, part);
  };
  refuses(5, 1, "pissa: rank is 5, expected 1 to 4");
  refuses(2, 0, "pissa: scaling is 0");
  w(3, 5) = std::numeric_limits<float>::quiet_NaN();
  refuses(2, 1, "pissa: W(3, 5) = ");
}
