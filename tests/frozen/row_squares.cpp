#include <lora/frozen/row_squares.hpp>

#include <vector>

#include <lora/frozen/dense_weight.hpp>
#include <lora/frozen/half_weight.hpp>
#include <lora/frozen/int8_weight.hpp>
#include <lora/frozen/mapped_weight.hpp>
#include <lora/frozen/packed_weight.hpp>

#include "support/catch.hpp"
#include "support/plain_weight.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

template <class Frozen>
void check_squares(const Frozen& weight) {
  const auto out = static_cast<std::size_t>(weight.out_features());
  const Matrix<double> dense = weight.dense().template cast<double>();
  std::vector<double> once(out), again(out);
  row_squares<float>(weight, once.data());
  Matrix<float> row(1, weight.in_features());
  for (Index o = 0; o < weight.out_features(); ++o) {
    CHECK(once[static_cast<std::size_t>(o)] == Approx(dense.row(o).squaredNorm()));
    copy_row_of<float>(weight, o, row.data());
    CHECK(same_bits(row, Matrix<float>(dense.row(o).cast<float>())));
  }
  const Threads three(3);
  row_squares<float>(weight, again.data());
  CHECK(once == again);
}

}  // namespace

TEST_CASE("the squares of a weight's rows are read from any storage") {
  // More columns than a block of depth, and outputs that fill no whole panel.
  const Matrix<float> w = random_matrix<float>(101, 450, 1), turned = w.transpose();
  check_squares(DenseWeight<float>(w));
  check_squares(PackedWeight<float>(w));
  check_squares(HalfWeight<float>(w));
  check_squares(Int8Weight<float>(w));
  check_squares(MappedWeight<float>(turned.data(), 101, 450, Layout::column_major));
  check_squares(PlainWeight<float>(w));
}

TEST_CASE("weights without elements have rows of square 0, or none") {
  double square = 5;
  row_squares<float>(DenseWeight<float>(Matrix<float>(1, 0)), &square);
  CHECK(square == 0);
  row_squares<float>(DenseWeight<float>(Matrix<float>(0, 3)), nullptr);
}
