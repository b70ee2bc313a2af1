#include <lora/init/olora.hpp>

#include <limits>
#include <string>

#include "support/golden.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("OLoRA gives the factors and the base that PEFT's gives, signs and all") {
  const Golden<float> golden("starts");
  for (const std::string name : {"wide", "tall"}) {
    CAPTURE(name);
    const auto start = olora<float>(golden[name + ".w"], 4, 1.5);
    CHECK(largest_difference(start.a, golden[name + ".olora.a"]) < 5e-6);
    CHECK(largest_difference(start.b, golden[name + ".olora.b"]) < 5e-6);
    CHECK(largest_difference(start.base, golden[name + ".olora.base"]) < 5e-6);
  }
}

TEST_CASE("OLoRA splits W, and B is orthonormal also where W's first columns are dependent") {
  Matrix<double> w = random_matrix<double>(9, 6, 1);
  w.col(1) = 2 * w.col(0);
  w.col(3).setZero();
  const auto start = olora<double>(w, 5, -0.5);
  CHECK(largest_difference((start.base - 0.5 * start.b * start.a).eval(), w) < 1e-14);
  CHECK((start.b.transpose() * start.b).isIdentity(1e-14));
}

TEST_CASE("OLoRA gives the same bits for any number of threads") {
  const Matrix<float> w = random_matrix<float>(200, 150, 1);
  const auto run = [&](int count) {
    const Threads threads(count);
    return olora<float>(w, 64, 2);
  };
  const auto one = run(1), three = run(3);
  CHECK(same_bits(one.a, three.a));
  CHECK(same_bits(one.b, three.b));
  CHECK(same_bits(one.base, three.base));
}

TEST_CASE("OLoRA refuses what it cannot start from by its name") {
  Matrix<float> w = random_matrix<float>(6, 4, 1);
  const auto refuses = [&](Index rank, double scaling, const std::string& part) {
    check_throws<ConfigError>([&] { static_cast<void>(olora<float>(w, rank, scaling)); }, part);
  };
  refuses(5, 1, "olora: rank is 5, expected 1 to 4");
  refuses(2, std::numeric_limits<double>::infinity(), "olora: scaling is inf");
  w(0, 1) = -std::numeric_limits<float>::infinity();
  refuses(2, 1, "olora: W(0, 1) = -inf");
}
