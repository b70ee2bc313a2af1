#include <lora/models/common/rotary_positions.hpp>

#include <array>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("rotary positions of a decoder are angles, and add nothing to embeddings") {
  models::RotaryPositions<double> positions(4, {.theta = 100});
  CHECK(positions.angle_features() == 4);
  CHECK(!positions.trains());
  const std::array places{0, 1, 2};
  Matrix<double> angles(3, 4), expected;
  positions.angles(places, angles);
  Rotary<double>(4, {.theta = 100}).angles(places, std::nullopt, expected);
  CHECK(same_bits(angles, expected));
  const Matrix<double> before = random_matrix<double>(3, 4, 1);
  Matrix<double> x = before;
  Tape<double> tape;
  positions.forward(places, &tape, true, x);
  CHECK(tape.empty());
  positions.backward(places, tape, GradientTarget<double>::own(), x);
  CHECK(same_bits(x, before));
  models::ModelParameters<double> list;
  positions.list(list);
  CHECK(list.total == 0);
}
