#include <lora/kernels/transposed_row_product.hpp>

#include <lora/frozen/packed_panels.hpp>
#include <lora/frozen/packed_weight.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("one row times packed panels, transposed, is the plain sums", "", float, double,
                   long double) {
  using T = TestType;
  constexpr Index width = kernels::TileShape<T>::columns;
  for (const Index outputs : {Index{1}, width / 3, width / 3 + 1, width - 1, width, 2 * width + 5})
    for (const Index inputs : {1, 7, 16, 63, 200}) {
      CAPTURE(outputs, inputs);
      const Matrix<T> w = random_matrix<T>(outputs, inputs, 1),
                      dy = random_matrix<T>(1, outputs, 2);
      const PackedWeight<T> packed(w);
      Matrix<T> dx = Matrix<T>::Ones(1, inputs);
      kernels::add_transposed_row_product<T>(
          dy.data(), outputs, inputs, packed.panels().data,
          [](const T* at) { return Eigen::internal::ploadu<Packet<T>>(at); }, dx.data());
      const Matrix<double> expected =
          (dy.template cast<double>() * w.template cast<double>()).array() + 1;
      CHECK(largest_difference(dx, expected) <= Tolerance<T>(outputs).value);
    }
}

TEST_CASE("one row's gradient has the same bits for any number of threads", "[threads]") {
  const Matrix<float> w = random_matrix<float>(1030, 1027, 1),
                      dy = random_matrix<float>(1, 1030, 2);
  const PackedWeight<float> packed(w);
  Matrix<float> one;
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    Matrix<float> dx = Matrix<float>::Zero(1, 1027);
    packed.add_transposed_product(dy, dx);
    if (count == 1) one = dx;
    CHECK(same_bits(dx, one));
  }
}
