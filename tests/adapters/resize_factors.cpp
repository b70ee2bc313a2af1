#include <lora/adapters/resize_factors.hpp>

#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a smaller rank leaves what it says, a larger one is the same update") {
  const Matrix<double> b = random_matrix<double>(12, 6, 1), a = random_matrix<double>(6, 9, 2);
  const Matrix<double> update = b * a;
  for (Index rank = 1; rank <= 8; ++rank) {
    const auto made = resize_factors<double>(b, a, {.rank = rank});
    REQUIRE(made.factors.a.rows() == rank);
    REQUIRE(made.factors.b.cols() == rank);
    CHECK(made.norm == Approx(update.norm()));
    CHECK((made.factors.b * made.factors.a - update).norm() == Approx(made.error).margin(1e-12));
    CHECK(made.relative_error() == Approx(made.error / update.norm()));
    if (rank >= 6) CHECK(made.error < 1e-12);
  }
}

TEST_CASE("an energy takes the fewest singular values that have it") {
  Eigen::VectorXd values(4);
  values << 4, 2, 2, 1;  // squares 16, 4, 4, 1 of 25
  CHECK(chosen_rank({.energy = 0.5}, values) == 1);
  CHECK(chosen_rank({.energy = 0.64}, values) == 1);
  CHECK(chosen_rank({.energy = 0.65}, values) == 2);
  CHECK(chosen_rank({.energy = 0.96}, values) == 3);
  CHECK(chosen_rank({.energy = 1}, values) == 4);
  CHECK(chosen_rank({.rank = 2, .energy = 1}, values) == 2);
  CHECK(chosen_rank({.rank = 9, .energy = 0.1}, values) == 1);
  CHECK(chosen_rank({.rank = 9}, values) == 9);
  CHECK(chosen_rank({.energy = 1}, Eigen::VectorXd::Zero(3)) == 1);

  // All of it is the rank that the update really has.
  const Matrix<double> b = random_matrix<double>(12, 3, 1), a = random_matrix<double>(3, 9, 2);
  Matrix<double> wide_b(12, 6), wide_a(6, 9);
  wide_b << b, b;
  wide_a << a, a;
  const auto made = resize_factors<double>(wide_b, wide_a, {.energy = 1});
  CHECK(made.factors.a.rows() == 3);
  CHECK(made.relative_error() < 1e-13);
}

TEST_CASE("an update of zeros has no error, and bad choices are refused") {
  const Matrix<float> zero = Matrix<float>::Zero(4, 2), a = Matrix<float>::Ones(2, 3);
  CHECK(resize_factors<float>(zero, a, {.energy = 0.9}).relative_error() == 0);
  const auto refused = [&](const RankChoice& choice, const std::string& why) {
    check_throws<ConfigError>([&] { static_cast<void>(resize_factors<float>(zero, a, choice)); },
                              why);
  };
  refused({}, "resize_factors: neither a rank nor an energy is given");
  refused({.rank = 0}, "rank is 0, expected at least 1");
  refused({.energy = 0}, "energy is 0, expected 0 < energy <= 1");
  refused({.energy = 1.1}, "energy is 1.1");
}
