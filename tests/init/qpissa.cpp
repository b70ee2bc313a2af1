#include <lora/init/qpissa.hpp>

#include <cmath>
#include <limits>

#include <lora/frozen/four_bit_weight.hpp>

#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

const auto to_nf4 = [](ConstMatrixRef<float> w) { return NF4Weight<float>(w); };

// A few directions that are much larger than the rest.
Matrix<float> steep(Index rows, Index cols) {
  const Matrix<float> left = random_matrix<float>(rows, 8, 1),
                      right = random_matrix<float>(8, cols, 2);
  return random_matrix<float>(rows, cols, 3) + 2 * left * right;
}

}  // namespace

TEST_CASE("QPiSSA gives the factors W's main directions, whatever alpha is") {
  const Matrix<float> w = steep(256, 192);
  const double alone = static_cast<double>((w - to_nf4(w).dense()).norm() / w.norm());
  const auto best = low_rank_factors<float>(w, 16);
  for (const double scaling : {1.0, 2.0, 0.25, -1.0}) {
    const auto start = qpissa<float>(w, 16, scaling, to_nf4);
    const Matrix<float> ba = static_cast<float>(scaling) * (start.b * start.a);
    CHECK(largest_difference(ba, (best.left * best.right).cast<double>()) < 1e-4);
    const double error = static_cast<double>((w - start.weight.dense() - ba).norm() / w.norm());
    REQUIRE(start.errors.size() == 1);
    CHECK(std::abs(error - start.errors[0]) < 1e-5);
    CHECK(error < 0.5 * alone);
  }
}

TEST_CASE("QPiSSA gives the same bits for any number of threads") {
  const Matrix<float> w = steep(512, 600);
  const auto run = [&](int count) {
    const Threads threads(count);
    return qpissa<float>(w, 16, 1, to_nf4);
  };
  const auto one = run(1), three = run(3);
  CHECK(one.weight.packed() == three.weight.packed());
  CHECK(same_bits(one.a, three.a));
  CHECK(same_bits(one.b, three.b));
}

TEST_CASE("QPiSSA refuses what it cannot start from by its name") {
  Matrix<float> w = random_matrix<float>(8, 64, 1);
  const auto refuses = [&](Index rank, double scaling, const SvdOptions& options,
                           const std::string& part) {
    check_throws<ConfigError>(
        [&] { static_cast<void>(qpissa<float>(w, rank, scaling, to_nf4, options)); }, part);
  };
  refuses(9, 1, {}, "qpissa: rank is 9");
  refuses(4, 0, {}, "qpissa: scaling is 0");
  refuses(4, 1, {.power_iterations = -1}, "qpissa: power_iterations is -1");
  w(7, 63) = -std::numeric_limits<float>::infinity();
  refuses(4, 1, {}, "qpissa: W(7, 63) = -inf");
  const Matrix<float> fine = random_matrix<float>(8, 64, 1), other = random_matrix<float>(8, 63, 1);
  check_throws<ShapeError>(
      [&] {
        static_cast<void>(
            qpissa<float>(fine, 4, 1, [&](ConstMatrixRef<float>) { return to_nf4(other); }));
      },
      "qpissa: the storage that make gives is (8, 63)");
}
