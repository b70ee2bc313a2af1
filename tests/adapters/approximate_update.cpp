#include <lora/adapters/approximate_update.hpp>

#include <limits>

#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

// Of rank 24, with singular values that fall by a fifth from one to the next.
Matrix<float> falling() {
  Matrix<float> left = random_matrix<float>(60, 24, 1), right = random_matrix<float>(24, 90, 2);
  for (Index i = 0; i < 24; ++i) left.col(i) *= std::pow(0.8F, static_cast<float>(i));
  return left * right;
}

}  // namespace

TEST_CASE("a dense update is approximated by rank or energy, and the error is what is missing") {
  const Matrix<float> update = falling();
  const auto check = [&](const RankChoice& choice, const SvdOptions& svd) {
    const auto made = approximate_update<float>(update, choice, svd);
    CHECK(made.norm == Approx(update.norm()));
    CHECK((update - made.factors.b * made.factors.a).norm() == Approx(made.error).margin(1e-4));
    return made;
  };
  const auto by_rank = check({.rank = 5}, {});
  CHECK(by_rank.factors.a.rows() == 5);
  CHECK(by_rank.error == Approx(check({.rank = 5}, {.exact = true}).error).epsilon(1e-3));
  for (const double energy : {0.5, 0.9, 0.9999}) {
    const auto made = check({.energy = energy}, {});
    CHECK(1 - made.relative_error() * made.relative_error() > energy - 1e-5);
    CHECK(made.factors.a.rows() == check({.energy = energy}, {.exact = true}).factors.a.rows());
  }
  CHECK(check({.rank = 3, .energy = 0.9999}, {}).factors.a.rows() == 3);
  // More than there is.
  const auto all = check({.rank = 70}, {});
  CHECK(all.factors.a.rows() == 70);
  CHECK(all.relative_error() < 1e-5);
}

TEST_CASE("no difference has factors of zero") {
  const Matrix<float> zero = Matrix<float>::Zero(4, 3);
  const auto made = approximate_update<float>(zero, {.energy = 0.9});
  CHECK(made.factors.a.rows() == 1);
  CHECK(made.factors.b.isZero(0));
  CHECK(made.relative_error() == 0);
}

TEST_CASE("any number of threads gives the same bits, and bad numbers are refused") {
  Matrix<float> update = falling();
  const auto run = [&](int threads) {
    const Threads set(threads);
    return approximate_update<float>(update, {.energy = 0.99}).factors.b;
  };
  CHECK(same_bits(run(1), run(3)));
  update(3, 4) = std::numeric_limits<float>::quiet_NaN();
  check_throws<ConfigError>([&] { run(1); }, "W(3, 4) = nan is not a finite number");
  check_throws<ConfigError>(
      [&] { static_cast<void>(approximate_update<float>(update, {.energy = 2})); },
      "approximate_update: energy is 2");
}
