#include <lora/nn/rotary.hpp>

#include <optional>
#include <string>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/golden.hpp"
#include "support/output_memory.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("rotary positions and their gradients are those of transformers' Llama") {
  const Golden<float> golden("decoder_rotary_f32");
  std::vector<int> positions;
  for (Index i = 0; i < golden["positions"].size(); ++i)
    positions.push_back(static_cast<int>(golden["positions"].data()[i]));
  for (const std::string name : {"default", "linear", "dynamic", "llama3", "yarn"}) {
    CAPTURE(name);
    const Rotary<float> rotary(16, {.theta = 500,
                                    .scaling = rotary_scaling(name),
                                    .factor = name == "dynamic"  ? 2.0
                                              : name == "llama3" ? 8.0
                                                                 : 4.0,
                                    .max_positions = 64,
                                    .original_positions = 64});
    Matrix<float> y, dx;
    rotary.forward(golden["x"], positions, y);
    rotary.backward(golden["dy"], positions, dx);
    for (Index row = 0; row < y.rows(); ++row) {
      // A rounding of a frequency moves an angle by its position's share.
      const double tolerance =
          Tolerance<float>(1, 4 + positions[static_cast<std::size_t>(row)]).value;
      CHECK(largest_difference(y.row(row), golden[name + "_y"].row(row)) <= tolerance);
      CHECK(largest_difference(dx.row(row), golden[name + "_dx"].row(row)) <= tolerance);
    }
  }
}

TEST_CASE("rotary gradients agree with finite differences, and scores depend on distances alone") {
  Matrix<double> x = random_matrix<double>(4, 12, 1);
  const Matrix<double> c = random_matrix<double>(4, 12, 2);
  const std::vector<int> positions{0, 3, 3, 900};
  for (const RotaryConfig& config :
       {RotaryConfig{},
        RotaryConfig{
            .theta = 50, .scaling = RotaryScaling::yarn, .factor = 4, .original_positions = 32}}) {
    const Rotary<double> rotary(6, config);
    Matrix<double> y, dx;
    rotary.backward(c, positions, dx);
    const auto loss = [&] {
      rotary.forward(x, positions, y);
      return (y.array() * c.array()).sum();
    };
    CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
    Matrix<double> q, k, far_q, far_k;
    rotary.forward(x.topRows(1), std::vector<int>{5}, q);
    rotary.forward(x.bottomRows(1), std::vector<int>{2}, k);
    rotary.forward(x.topRows(1), std::vector<int>{105}, far_q);
    rotary.forward(x.bottomRows(1), std::vector<int>{102}, far_k);
    CHECK(q.row(0).dot(k.row(0)) == Approx(far_q.row(0).dot(far_k.row(0))).epsilon(1e-10));
  }
}

TEST_CASE("rotary positions are set in place or in the caller's memory, on any threads") {
  const Matrix<float> x = random_matrix<float>(300, 256, 1);
  std::vector<int> positions;
  for (int i = 0; i < 300; ++i) positions.push_back(i % 70);
  const Rotary<float> rotary(64, {});
  Matrix<float> one;
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    Matrix<float> y = x;
    rotary.forward(y, positions, y);
    if (count == 1) one = y;
    CHECK(same_bits(y, one));
  }
  CHECK(same_bits(one.row(70), x.row(70)));  // position 0 turns nothing
  const std::vector<int> few{3, 1, 4, 1};
  Matrix<float> y, dx;
  rotary.forward(x.topRows(4), few, y);
  rotary.backward(x.topRows(4), few, dx);
  check_output<float>(y, [&](Output<float> out) { rotary.forward(x.topRows(4), few, out); });
  check_output<float>(dx, [&](Output<float> out) { rotary.backward(x.topRows(4), few, out); });
  check_partial_overlap_refused<float>(
      4, 256, [&](ConstMatrixRef<float> in, Output<float> out) { rotary.forward(in, few, out); });
}

TEST_CASE("rotary refuses what does not fit") {
  CHECK_THROWS_AS(Rotary<float>(7, {}), ConfigError);
  CHECK_THROWS_AS(Rotary<float>(0, {}), ConfigError);
  CHECK_THROWS_AS(Rotary<float>(8, {.theta = -1}), ConfigError);
  const Rotary<float> rotary(8, {});
  const Matrix<float> x = random_matrix<float>(2, 16, 1);
  Matrix<float> y;
  check_throws<ShapeError>(
      [&] {
        rotary.forward(x.leftCols(12), std::vector<int>{0, 1}, y);
      },
      "Rotary::forward: x is (2, 12), expected (N, a multiple of "
      "head_features = 8)");
  check_throws<ShapeError>([&] { rotary.forward(x, std::vector<int>{0}, y); },
                           "Rotary::forward: 1 positions, expected one for each of 2 rows");
  check_throws<ShapeError>(
      [&] {
        rotary.backward(x, std::vector<int>{0, -1}, y);
      },
      "Rotary::backward: position 1 is -1, expected at least 0");
  CHECK(y.size() == 0);
}

TEST_CASE("angles serve several matrices, and allocate nothing again") {
  const std::vector<int> positions{0, 3, 40};
  for (const Index d : {6, 64}) {
    const Rotary<float> rotary(
        d, {.scaling = RotaryScaling::dynamic, .factor = 2, .max_positions = 8});
    const Matrix<float> x = random_matrix<float>(3, 2 * d, 1);
    Matrix<float> angles, alone, shared, back;
    rotary.angles(positions, std::nullopt, angles);
    rotary.forward(x, positions, alone);
    rotary.forward(x, angles, shared);
    CHECK(same_bits(shared, alone));
    rotary.backward(x, positions, alone);
    rotary.backward(x, angles, back);
    CHECK(same_bits(back, alone));
    // A longer text than the largest position says turns otherwise.
    rotary.angles(positions, 100, angles);
    rotary.forward(x, angles, shared);
    CHECK(!same_bits(shared, alone));
    const Threads one(1);
    const auto step = [&] {
      rotary.forward(x, positions, alone);
      rotary.backward(x, positions, back);
    };
    step();
    CHECK(allocations_of(step).count == 0);
  }
}
