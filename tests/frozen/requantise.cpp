#include <lora/frozen/requantise.hpp>

#include <cmath>
#include <limits>

#include <lora/frozen/block_weight.hpp>
#include <lora/frozen/dense_weight.hpp>
#include <lora/frozen/four_bit_weight.hpp>
#include <lora/frozen/half_weight.hpp>
#include <lora/frozen/int8_weight.hpp>
#include <lora/init/gaussian.hpp>

#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

const auto nf4 = [](ConstMatrixRef<float> w) { return NF4Weight<float>(w); };
const auto int8 = [](ConstMatrixRef<float> w) { return Int8Weight<float>(w); };
const auto bf16 = [](ConstMatrixRef<float> w) { return HalfWeight<float>(w); };

Matrix<float> normal_matrix(Index rows, Index cols, std::uint64_t seed) {
  Matrix<float> matrix(rows, cols);
  gaussian<float>(matrix, Random(seed), 1);
  return matrix;
}

constexpr Index width = 1024;

// An update of rank 16 whose root mean square is `size` times W's.
Matrix<float> update(double size) {
  Matrix<float> d = normal_matrix(width, 16, 2) * normal_matrix(16, width, 3);
  return d * static_cast<float>(size * static_cast<double>(width) / static_cast<double>(d.norm()));
}

// |Q - (W + D)| / |W + D|.
double error_of(const Matrix<float>& q, const Matrix<float>& w, const Matrix<float>& d) {
  return static_cast<double>((q - w - d).norm() / (w + d).norm());
}

}  // namespace

TEST_CASE("requantised says how much of an update four and eight bits lose") {
  struct Row {
    double size, nf4_unchanged, nf4_kept, int8_unchanged, int8_kept, error_from_codes, error_from_w;
  };
  // The measured table that the comments quote, of 1024 x 1024.
  const Row rows[] = {{0.001, 1.000, 0.015, 1.000, 0.001, 0.0920, 0.0920},
                      {0.01, 1.000, 0.015, 0.830, 0.865, 0.0928, 0.0920},
                      {0.05, 0.979, 0.28, 0.226, 1.00, 0.1064, 0.0921},
                      {0.1, 0.822, 0.84, 0.114, 1.00, 0.1225, 0.0921}};
  const Matrix<float> w = normal_matrix(width, width, 1);
  const NF4Weight<float> four(w);
  const Int8Weight<float> eight(w);
  for (const Row& row : rows) {
    CAPTURE(row.size);
    const Matrix<float> d = update(row.size);
    const auto from_codes = requantised<float>(four, d, nf4);
    CHECK(std::abs(from_codes.report.kept - row.nf4_kept) < 0.03);
    CHECK(std::abs(from_codes.report.unchanged - row.nf4_unchanged) < 0.03);
    CHECK(std::abs(error_of(from_codes.weight.dense(), w, d) - row.error_from_codes) < 0.002);
    const auto from_w = requantised_from<float>(w, four, d, nf4);
    CHECK(std::abs(from_w.report.kept - 1) < 0.05);
    CHECK(std::abs(from_w.report.relative_error - row.error_from_w) < 0.001);
    CHECK(std::abs(error_of(from_w.weight.dense(), w, d) - from_w.report.relative_error) < 1e-5);
    const auto in_eight = requantised<float>(eight, d, int8);
    CHECK(std::abs(in_eight.report.kept - row.int8_kept) < 0.03);
    CHECK(std::abs(in_eight.report.unchanged - row.int8_unchanged) < 0.05);
    CHECK(std::abs(requantised_from<float>(w, eight, d, int8).report.kept - 1) < 0.05);
  }
}

TEST_CASE("requantised serves any storage, and from one format to another") {
  const Matrix<float> w = normal_matrix(width, width, 1), small = update(0.001), d = update(0.01);
  const HalfWeight<float> half(w);
  const auto lost = requantised<float>(half, small, bf16).report;
  CHECK(std::abs(lost.kept - 0.53) < 0.05);
  CHECK(lost.unchanged > 0.5);
  CHECK(std::abs(requantised<float>(half, d, bf16).report.kept - 1) < 0.01);
  // Numbers of half precision do not lie on the codes of four bits, which so keep the update.
  CHECK(std::abs(requantised<float>(half, d, nf4).report.kept - 1) < 0.06);
  const auto q8 = [](ConstMatrixRef<float> matrix) {
    return BlockWeight<float>::encoded(kernels::BlockFormat::Q8_0, matrix);
  };
  const auto block = requantised<float>(q8(w), d, q8).report;
  CHECK(block.kept > 0.7);
  CHECK(block.relative_error < 0.01);
  const DenseWeight<double> exact(w.cast<double>());
  const auto same = requantised<double>(
      exact, Matrix<double>(d.cast<double>()),
      [](ConstMatrixRef<double> matrix) { return DenseWeight<double>(Matrix<double>(matrix)); });
  CHECK(std::abs(same.report.kept - 1) < 1e-12);
  CHECK(same.report.unchanged == 0);
  CHECK(same.report.relative_error == 0);
}

TEST_CASE("a weight of four bits is itself when rounded again without an update") {
  const Matrix<float> w = normal_matrix(40, 96, 1), none = Matrix<float>::Zero(40, 96);
  const NF4Weight<float> base(w);
  const auto [again, report] = requantised<float>(base, none, nf4);
  CHECK(same_bits(again.dense(), base.dense()));
  CHECK(report.kept == 1);
  CHECK(report.unchanged == 0);
  CHECK(report.relative_error == 0);
}

TEST_CASE("requantised refuses matrices of other shapes") {
  const NF4Weight<float> base(normal_matrix(4, 64, 1));
  const Matrix<float> w = normal_matrix(4, 64, 1), other = normal_matrix(4, 63, 1);
  check_throws<ShapeError>([&] { static_cast<void>(requantised<float>(base, other, nf4)); },
                           "requantised: delta is (4, 63)");
  check_throws<ShapeError>([&] { static_cast<void>(requantised_from<float>(other, base, w, nf4)); },
                           "requantised_from: original is (4, 63)");
  check_throws<ShapeError>([&] { static_cast<void>(requantised_from<float>(w, base, other, nf4)); },
                           "requantised_from: delta is (4, 63)");
  check_throws<ShapeError>(
      [&] {
        static_cast<void>(requantised<float>(
            base, w, [&](ConstMatrixRef<float>) { return NF4Weight<float>(other); }));
      },
      "the storage that make gives is (4, 63)");
  // Else a report of NaN would say that all was kept.
  Matrix<float> broken = Matrix<float>::Zero(4, 64);
  broken(1, 7) = std::numeric_limits<float>::quiet_NaN();
  const auto half = [](ConstMatrixRef<float> matrix) { return HalfWeight<float>(matrix); };
  check_throws<ConfigError>([&] { static_cast<void>(requantised<float>(base, broken, half)); },
                            "requantised: delta(1, 7) = nan");
}
