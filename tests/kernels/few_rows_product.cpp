#include <lora/kernels/few_rows_product.hpp>

#include <lora/frozen/packed_panels.hpp>
#include <lora/frozen/packed_weight.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

template <class T>
void few_rows_product(const PackedWeight<T>& w, const Matrix<T>& x, MatrixRef<T> y) {
  kernels::add_few_rows_product<T>(
      x, w.panels().data, [](const T* at) { return Eigen::internal::ploadu<Packet<T>>(at); }, y);
}

}  // namespace

TEMPLATE_TEST_CASE("a few rows times packed panels are the plain sums", "", float, double,
                   long double) {
  using T = TestType;
  constexpr Index width = kernels::TileShape<T>::columns;
  for (const Index rows : {1, 2, 3, 5, 8, 11})
    for (const Index outputs : {Index{1}, width / 3, width - 1, width, 2 * width + 5, 9 * width})
      for (const Index inputs : {1, 17, 2050}) {  // in more than one block of the depth
        CAPTURE(rows, outputs, inputs);
        const Matrix<T> w = random_matrix<T>(outputs, inputs, 1),
                        x = random_matrix<T>(rows, inputs, 2);
        Matrix<T> wide = Matrix<T>::Ones(rows, outputs + 2);  // of which the last stay as they are
        few_rows_product<T>(PackedWeight<T>(w), x, wide.leftCols(outputs));
        Matrix<double> expected = Matrix<double>::Ones(rows, outputs + 2);
        expected.leftCols(outputs) +=
            x.template cast<double>() * w.template cast<double>().transpose();
        CHECK(largest_difference(wide, expected) <= Tolerance<T>(inputs).value);
      }
}

TEST_CASE("a few rows' products have the same bits for any number of threads", "[threads]") {
  const PackedWeight<float> packed(random_matrix<float>(1030, 1027, 1));
  for (const Index rows : {2, 6}) {
    const Matrix<float> x = random_matrix<float>(rows, 1027, 2);
    Matrix<float> one;
    for (const int count : {1, 2, 3}) {
      const Threads threads(count);
      Matrix<float> y = Matrix<float>::Zero(rows, 1030);
      few_rows_product<float>(packed, x, y);
      if (count == 1) one = y;
      CHECK(same_bits(y, one));
    }
  }
}
