#include <lora/kernels/transposed_rows_product.hpp>

#include <lora/frozen/packed_panels.hpp>
#include <lora/frozen/packed_weight.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("a few rows times packed panels, transposed, are the plain sums", "", float,
                   double, long double) {
  using T = TestType;
  constexpr Index width = kernels::TileShape<T>::columns;
  for (const Index rows : {1, 2, 3, 5, 8, 11})
    for (const Index outputs :
         {Index{1}, width / 3, width / 3 + 1, width - 1, width, 2 * width + 5, 9 * width})
      for (const Index inputs : {1, 7, 16, 83}) {
        CAPTURE(rows, outputs, inputs);
        const Matrix<T> w = random_matrix<T>(outputs, inputs, 1),
                        dy = random_matrix<T>(rows, outputs, 2);
        const PackedWeight<T> packed(w);
        Matrix<T> wide = Matrix<T>::Ones(rows, inputs + 2);  // of which the last stay as they are
        kernels::add_transposed_rows_product<T>(
            dy, inputs, packed.panels().data,
            [](const T* at) { return Eigen::internal::ploadu<Packet<T>>(at); },
            wide.leftCols(inputs));
        Matrix<double> expected = Matrix<double>::Ones(rows, inputs + 2);
        expected.leftCols(inputs) += dy.template cast<double>() * w.template cast<double>();
        CHECK(largest_difference(wide, expected) <= Tolerance<T>(outputs).value);
      }
}

TEST_CASE("a few rows' gradient has the same bits for any number of threads", "[threads]") {
  const Matrix<float> w = random_matrix<float>(1030, 1027, 1);
  const PackedWeight<float> packed(w);
  for (const Index rows : {1, 6}) {
    const Matrix<float> dy = random_matrix<float>(rows, 1030, 2);
    Matrix<float> one;
    for (const int count : {1, 2, 3}) {
      const Threads threads(count);
      Matrix<float> dx = Matrix<float>::Zero(rows, 1027);
      packed.add_transposed_product(dy, dx);
      if (count == 1) one = dx;
      CHECK(same_bits(dx, one));
    }
  }
}
