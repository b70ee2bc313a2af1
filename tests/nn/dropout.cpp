#include <lora/nn/dropout.hpp>

#include <cmath>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/output_memory.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("Dropout drops a share p, scales the rest, and backward draws the same mask") {
  const double p = 0.3;
  const Dropout<double> dropout(p, 1);
  const Matrix<double> ones = Matrix<double>::Ones(200, 301);
  Tape<double> tape;
  Matrix<double> y, dx;
  dropout.forward(ones, tape, y);
  const auto dropped = static_cast<double>((y.array() == 0).count());
  CHECK(((y.array() == 0) || (y.array() == 1 / (1 - p))).all());
  const auto n = static_cast<double>(y.size());
  CHECK(std::abs(dropped - p * n) < 5 * std::sqrt(n * p * (1 - p)));
  dropout.backward(ones, tape, dx);
  CHECK(same_bits(dx, y));
  CHECK(tape.empty());
  CHECK(tape.bytes() == 0);
  // Another forward, another mask; another substream too.
  Matrix<double> next, other;
  dropout.forward(ones, tape, next);
  CHECK_FALSE(same_bits(next, y));
  Tape<double> fresh;
  Dropout<double>(p, 1, 1).forward(ones, fresh, other);
  CHECK_FALSE(same_bits(other, y));
}

TEST_CASE("Dropout run again from the same random state draws the same mask") {
  const Dropout<float> dropout(0.5, 7);
  const Matrix<float> x = random_matrix<float>(5, 40, 1);
  Tape<float> tape(3), again;
  Matrix<float> y, z;
  dropout.forward(x, tape, y);
  tape.clear();  // a state is one between passes
  const auto state = tape.random_state();
  dropout.forward(x, tape, y);
  again.set_random_state(state);
  dropout.forward(x, again, z);
  CHECK(same_bits(y, z));
}

TEST_CASE("Dropout does nothing in inference and with p = 0") {
  const Matrix<float> x = random_matrix<float>(5, 40, 1);
  Matrix<float> y;
  Dropout<float>(0.5).forward(x, y);
  CHECK(same_bits(x, y));
  Tape<float> tape;
  const Dropout<float> none(0);
  none.forward(x, tape, y);
  CHECK(same_bits(x, y));
  none.backward(x, tape, y);
  CHECK(same_bits(x, y));
}

TEST_CASE("Dropout may work in place, gives the same bits for any threads, allocates nothing") {
  const Matrix<float> x = random_matrix<float>(300, 301, 1);
  const Dropout<float> dropout(0.1, 1);
  Matrix<float> expected;
  Tape<float> first;
  dropout.forward(x, first, expected);
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    Tape<float> tape;
    Matrix<float> y = x;
    dropout.forward(y, tape, y);
    CHECK(same_bits(y, expected));
    y = x;
    dropout.backward(y, tape, y);
    CHECK(same_bits(y, expected));
    const Threads countable(countable_threads(count));
    CHECK(allocations_of([&] {
            dropout.forward(x, tape, y);
            dropout.backward(x, tape, y);
            dropout.forward(x, y);
          }).count == 0);
  }
}

TEST_CASE("Dropout refuses p outside 0 <= p < 1, and shapes that were not its forward's") {
  CHECK_THROWS_AS(Dropout<float>(1.0), ConfigError);
  CHECK_THROWS_AS(Dropout<float>(-0.1), ConfigError);
  CHECK_THROWS_AS(Dropout<float>(std::nan("")), ConfigError);
  const Dropout<float> dropout(0.5);
  Tape<float> tape;
  const Matrix<float> x = random_matrix<float>(5, 40, 1);
  Matrix<float> y;
  CHECK_THROWS_AS(dropout.backward(x, tape, y), StateError);
  dropout.forward(x, tape, y);
  CHECK_THROWS_AS(dropout.backward(x.leftCols(3), tape, y), ShapeError);
  CHECK_THROWS_AS(dropout.backward(x.topRows(3), tape, y), ShapeError);
  CHECK_THROWS_AS(Dropout<float>(0.5).backward(x, tape, y), StateError);
}

TEST_CASE("Dropout writes to the caller's memory, but not over a part of its input") {
  const Matrix<float> x = random_matrix<float>(4, 41, 1);
  for (const double p : {0.0, 0.5}) {
    const Dropout<float> dropout(p, 7);
    const auto train = [&](ConstMatrixRef<float> in, Output<float> out) {
      Tape<float> tape;
      dropout.forward(in, tape, out);
    };
    const auto back = [&](ConstMatrixRef<float> in, Output<float> out) {
      Tape<float> tape;
      Matrix<float> y;
      dropout.forward(x, tape, y);
      dropout.backward(in, tape, out);
    };
    const auto infer = [&](ConstMatrixRef<float> in, Output<float> out) {
      dropout.forward(in, out);
    };
    Matrix<float> y;
    train(x, y);
    check_output<float>(y, [&](Output<float> out) { train(x, out); });
    check_output<float>(y, [&](Output<float> out) { back(x, out); });
    check_output<float>(x, [&](Output<float> out) { infer(x, out); });
    check_partial_overlap_refused<float>(4, 41, train);
    check_partial_overlap_refused<float>(4, 41, back);
    check_partial_overlap_refused<float>(4, 41, infer);
  }
}

TEST_CASE("Dropout names itself in messages") {
  Dropout<float> dropout(0.5), other(0.5);
  dropout.set_name("encoder.dropout");
  CHECK(dropout.name() == "encoder.dropout");
  const Matrix<float> x = random_matrix<float>(4, 6, 1), wide = random_matrix<float>(4, 7, 1);
  Matrix<float> y;
  Tape<float> tape;
  dropout.forward(x, tape, y);
  check_throws<ShapeError>([&] { dropout.backward(wide, tape, y); },
                           "encoder.dropout (Dropout::backward): dy is (4, 7), expected (4, 6)");
  check_throws<StateError>([&] { other.backward(x, tape, y); },
                           "Dropout::backward: the newest forward on the tape is of "
                           "encoder.dropout");
}
