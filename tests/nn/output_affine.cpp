#include <lora/nn/output_affine.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("an affine map of outputs scales, shifts, and goes back") {
  OutputAffine<double> none, map;
  Scratch scratch;
  const Matrix<double> b = random_matrix<double>(3, 2, 2);
  const Vector<double> bias = random_matrix<double>(3, 1, 3).col(0);
  CHECK(none.scale() == nullptr);
  CHECK(none.start_row(nullptr, 3, scratch) == nullptr);
  CHECK(none.start_row(bias.data(), 3, scratch) == bias.data());
  const Vector<double> scale = random_matrix<double>(3, 1, 4).col(0),
                       shift = random_matrix<double>(3, 1, 5).col(0);
  map.set(scale, shift, 3, "here");
  CHECK(map.scale()[2] == scale[2]);
  CHECK(map.start_row(nullptr, 3, scratch)[1] == shift[1]);
  CHECK(map.start_row(bias.data(), 3, scratch)[1] == Approx(shift[1] + scale[1] * bias[1]));
  Matrix<double> sum = Matrix<double>::Ones(3, 2);
  map.add_scaled_rows(b, sum);
  const Matrix<double> dy = random_matrix<double>(4, 3, 1);
  CHECK(map.scaled_columns(dy, scratch)(3, 2) == dy(3, 2) * scale[2]);
  Matrix<double> bt = b.transpose();
  map.scale_columns(bt);
  CHECK(bt(1, 2) == b(2, 1) * scale[2]);
  CHECK(sum(2, 1) == Approx(1 + b(2, 1) * scale[2]));
  CHECK(map.scaled_rows(b, scratch)(2, 1) == b(2, 1) * scale[2]);
  check_throws<ShapeError>([&] { map.set(scale, {}, 3, "here"); },
                           "here: scale has 3 elements and shift 0, expected 3 each, or none");
  CHECK(map.exists());
  map.set({}, {}, 3, "here");
  CHECK(!map.exists());
}
