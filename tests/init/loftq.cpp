#include <lora/init/loftq.hpp>

#include <cmath>
#include <limits>
#include <string>

#include <lora/frozen/block_weight.hpp>
#include <lora/frozen/four_bit_weight.hpp>
#include <lora/frozen/int8_weight.hpp>

#include "support/golden.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

const auto nf4 = [](ConstMatrixRef<float> w) { return NF4Weight<float>(w); };
const auto int8 = [](ConstMatrixRef<float> w) { return Int8Weight<float>(w); };

// Normal numbers under scales that fall from direction to direction, as trained matrices have them.
Matrix<float> trained_like(Index rows, Index cols) {
  Matrix<float> w(rows, cols), left(rows, 64), right(64, cols);
  gaussian<float>(w, Random(1), 1);
  gaussian<float>(left, Random(2), 1);
  gaussian<float>(right, Random(3), 1);
  for (Index i = 0; i < 64; ++i)
    left.col(i) *= 1.0F / std::sqrt(1.0F + static_cast<float>(i)) / 2.0F;
  return 0.02F * (w + left * right);
}

template <class Storage>
double error_of(const Matrix<float>& w, const QuantisedStart<float, Storage>& start,
                double scaling) {
  const Matrix<float> sum =
      start.weight.dense() + static_cast<float>(scaling) * (start.b * start.a);
  return static_cast<double>((w - sum).norm() / w.norm());
}

template <class Make>
void check_golden(const std::string& kind, Index many, const Make& make) {
  const Golden<float> golden("../quantised/loftq");
  for (const std::string name : {"flat", "steep"})
    for (const Index rounds : {Index{1}, many})
      for (const double scaling : {1.0, 2.0}) {
        CAPTURE(name, kind, rounds, scaling);
        const Matrix<float>& w = golden[name + ".w"];
        const std::string at = message(name, ".", kind, ".", rounds);
        const auto start =
            loftq<float>(w, 4, scaling, make, {.rounds = rounds, .svd = {.exact = true}});
        CHECK(largest_difference(start.weight.dense(), golden[at + ".q"].template cast<double>()) <
              1e-6);
        const Matrix<float> ba = static_cast<float>(scaling) * (start.b * start.a);
        CHECK(largest_difference(ba, golden[at + ".ba"].template cast<double>()) < 1e-6);
      }
}

}  // namespace

TEST_CASE("LoftQ is PEFT's where alpha is the rank, and starts as near to W for any other alpha") {
  check_golden("nf4", 5, nf4);
  check_golden("int8", 2, int8);
}

TEST_CASE("LoftQ's error falls from round to round, to what was measured on trained matrices") {
  const Matrix<float> w = trained_like(512, 512);
  const double alone = static_cast<double>((w - nf4(w).dense()).norm() / w.norm());
  CHECK(std::abs(alone - 0.092) < 0.002);
  for (const double scaling : {1.0, 0.5}) {
    const auto start = loftq<float>(w, 16, scaling, nf4, {.rounds = 5});
    REQUIRE(start.errors.size() == 5);
    CHECK(start.errors[0] < 0.95 * alone);
    for (std::size_t i = 1; i < 5; ++i) CHECK(start.errors[i] < start.errors[i - 1]);
    CHECK(start.errors[4] < 0.89 * alone);
    CHECK(std::abs(error_of(w, start, scaling) - start.errors[4]) < 1e-5);
  }
}

TEST_CASE("LoftQ by the fast search is as good as by the whole decomposition") {
  const Matrix<float> w = trained_like(192, 256);
  const auto fast = loftq<float>(w, 8, 2, nf4, {.rounds = 3});
  const auto exact = loftq<float>(w, 8, 2, nf4, {.rounds = 3, .svd = {.exact = true}});
  CHECK(std::abs(fast.errors.back() / exact.errors.back() - 1) < 0.005);
}

TEST_CASE("LoftQ serves any storage") {
  const Matrix<double> w = random_matrix<double>(64, 96, 1);
  const auto q4 = loftq<double>(w, 4, 1, [](ConstMatrixRef<double> matrix) {
    return BlockWeight<double>::encoded(kernels::BlockFormat::Q4_0, matrix);
  });
  const double alone =
      (w - BlockWeight<double>::encoded(kernels::BlockFormat::Q4_0, w).dense()).norm() / w.norm();
  CHECK(q4.errors.back() < alone);
  // Nothing to make up for.
  const Matrix<float> zeros = Matrix<float>::Zero(8, 64);
  const auto none = loftq<float>(zeros, 4, 1, nf4);
  CHECK(none.errors.back() == 0);
  CHECK((none.b * none.a).isZero(0));
}

TEST_CASE("LoftQ gives the same bits for any number of threads") {
  const Matrix<float> w = trained_like(512, 512);
  const auto run = [&](int count) {
    const Threads threads(count);
    return loftq<float>(w, 16, 1, nf4, {.rounds = 2});
  };
  const auto one = run(1), three = run(3);
  CHECK(one.weight.packed() == three.weight.packed());
  CHECK(same_bits(one.a, three.a));
  CHECK(same_bits(one.b, three.b));
  CHECK(one.errors == three.errors);
}

TEST_CASE("LoftQ refuses what it cannot start from before it rounds anything") {
  Matrix<float> w = random_matrix<float>(8, 64, 1);
  bool rounded = false;
  const auto counted = [&](ConstMatrixRef<float> matrix) {
    rounded = true;
    return nf4(matrix);
  };
  const auto refuses = [&](Index rank, double scaling, const LoftQOptions& options,
                           const std::string& part) {
    check_throws<ConfigError>(
        [&] { static_cast<void>(loftq<float>(w, rank, scaling, counted, options)); }, part);
  };
  refuses(9, 1, {}, "loftq: rank is 9, expected 1 to 8 of a matrix (8, 64)");
  refuses(0, 1, {}, "loftq: rank is 0");
  refuses(4, 0, {}, "loftq: scaling is 0");
  refuses(4, std::numeric_limits<double>::quiet_NaN(), {}, "loftq: scaling is nan");
  refuses(4, 1, {.rounds = 0}, "loftq: rounds is 0");
  refuses(4, 1, {.svd = {.oversampling = -1}}, "loftq: oversampling is -1");
  w(3, 7) = std::numeric_limits<float>::quiet_NaN();
  refuses(4, 1, {}, "loftq: W(3, 7) = nan");
  CHECK_FALSE(rounded);
  const Matrix<float> fine = random_matrix<float>(8, 64, 1), other = random_matrix<float>(8, 63, 1);
  check_throws<ShapeError>(
      [&] {
        static_cast<void>(
            loftq<float>(fine, 4, 1, [&](ConstMatrixRef<float>) { return nf4(other); }));
      },
      "loftq: the storage that make gives is (8, 63)");
}
