#include <lora/kernels/tiled_product.hpp>

#include <lora/kernels/emulated_tiles.hpp>

#include <cmath>
#include <cstdint>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using kernels::BFloat16Parts;
using kernels::EmulatedTiles;
using kernels::float_of_bfloat16;

namespace {

// A W (depth, columns) that bfloat16 holds, tile by tile.
struct PlainPairs {
  const Matrix<float>& w;

  void pairs(Index depth, Index column, std::uint16_t* to) const {
    for (Index k = 0; k < 32; ++k)
      for (Index j = 0; j < 16; ++j) {
        const bool there = depth + k < w.rows() && column + j < w.cols();
        to[k / 2 * 32 + 2 * j + k % 2] =
            there ? kernels::bfloat16_of_float(w(depth + k, column + j)) : std::uint16_t{0};
      }
  }
};

Matrix<float> short_matrix(Index rows, Index cols, std::uint64_t seed) {
  return random_matrix<float>(rows, cols, seed).unaryExpr([](float value) {
    return float_of_bfloat16(kernels::bfloat16_of_float(value));
  });
}

// y(n, j) + x W, number by number, in the order of the instruction.
float one_by_one(const Matrix<float>& x, const Matrix<float>& w, Index parts, Index n, Index j,
                 float sum) {
  for (Index k0 = 0; k0 < x.cols(); k0 += 32)
    for (Index part = 0; part < parts; ++part) {
      float sums[2] = {0, 0};
      for (Index k = k0; k < std::min(k0 + 32, x.cols()); ++k) {
        const BFloat16Parts number = BFloat16Parts::of(x(n, k));
        sums[k % 2] =
            std::fma(float_of_bfloat16(part == 0 ? number.high : number.low), w(k, j), sums[k % 2]);
      }
      sum += sums[0] + sums[1];
    }
  return sum;
}

}  // namespace

TEST_CASE("a product on tiles is that of its numbers one by one, to the bit") {
  struct Shape {
    Index rows, depth, columns;
  };
  // Parts and wholes of tiles, of blocks of depth, and of bands of rows.
  const Shape shapes[] = {{1, 1, 1},    {2, 33, 17},  {16, 32, 16},  {17, 31, 33},  {32, 64, 32},
                          {33, 65, 48}, {40, 96, 31}, {5, 1100, 20}, {600, 40, 18}, {0, 5, 5}};
  for (const auto& [rows, depth, columns] : shapes)
    for (const Index parts : {1, 2}) {
      CAPTURE(rows, depth, columns, parts);
      const Matrix<float> x = random_matrix<float>(rows, depth, 1);
      const Matrix<float> w = short_matrix(depth, columns, 2);
      const Matrix<float> y0 = random_matrix<float>(rows, columns, 3);
      Matrix<float> y = y0;
      kernels::add_tiled_product<EmulatedTiles>(x, PlainPairs{w}, parts, y);
      bool same = true;
      for (Index n = 0; n < rows; ++n)
        for (Index j = 0; j < columns; ++j)
          same = same && y(n, j) == one_by_one(x, w, parts, n, j, y0(n, j));
      CHECK(same);

      // Blocks of larger matrices, whose surroundings stay.
      Matrix<float> tall_x = Matrix<float>::Constant(rows + 1, depth + 3, 9);
      Matrix<float> tall_y = Matrix<float>::Constant(rows + 1, columns + 5, 7);
      auto wide_x = tall_x.topRows(rows);
      auto wide_y = tall_y.topRows(rows);
      wide_x.middleCols(1, depth) = x;
      wide_y.middleCols(2, columns) = y0;
      kernels::add_tiled_product<EmulatedTiles>(wide_x.middleCols(1, depth), PlainPairs{w}, parts,
                                                wide_y.middleCols(2, columns));
      CHECK(same_bits(wide_y.middleCols(2, columns), y));
      CHECK((tall_y.array() == 7).count() == (rows + 1) * (columns + 5) - rows * columns);
    }
}

TEST_CASE("two parts of an activation keep a product near to float, one rounds it") {
  const Matrix<float> x = random_matrix<float>(20, 1024, 1), w = short_matrix(1024, 40, 2);
  const Matrix<double> exact = x.cast<double>() * w.cast<double>();
  const auto error = [&](Index parts) {
    Matrix<float> y = Matrix<float>::Zero(20, 40);
    kernels::add_tiled_product<EmulatedTiles>(x, PlainPairs{w}, parts, y);
    return (y.cast<double>() - exact).norm() / exact.norm();
  };
  CHECK(error(2) <= 2.5e-6);
  CHECK(error(1) <= 0x1p-8);
  CHECK(error(1) >= 1e-3);
}

TEST_CASE("a product on tiles has the same bits for any number of threads and keeps its memory") {
  const Matrix<float> x = random_matrix<float>(70, 300, 1), w = short_matrix(300, 530, 2);
  Matrix<float> one;
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    Matrix<float> y = Matrix<float>::Zero(70, 530);
    kernels::add_tiled_product<EmulatedTiles>(x, PlainPairs{w}, 2, y);
    if (count == 1) one = y;
    CHECK(same_bits(y, one));
  }
  const Threads counted(countable_threads(2));
  const auto run = [&] { kernels::add_tiled_product<EmulatedTiles>(x, PlainPairs{w}, 2, one); };
  run();
  CHECK(allocations_of(run).count == 0);
}

TEST_CASE("an infinite activation makes its own row infinite or NaN and no other") {
  Matrix<float> x = random_matrix<float>(3, 70, 1);
  const Matrix<float> w = short_matrix(70, 20, 2);
  x(1, 69) = std::numeric_limits<float>::infinity();
  Matrix<float> y = Matrix<float>::Zero(3, 20);
  kernels::add_tiled_product<EmulatedTiles>(x, PlainPairs{w}, 2, y);
  CHECK(y.row(0).allFinite());
  CHECK(y.row(2).allFinite());
  CHECK((y.row(1).array().isInf()).all());
}
