#include <lora/kernels/kernel_order.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a kernel's two orders list the same elements") {
  // (2, 3, 2, 2): channel 1, tap 2 of output 1.
  const Matrix<float> file = random_matrix<float>(2, 12, 1);
  Matrix<float> products(2, 12), back(2, 12), sum = file;
  kernels::to_tap_order<float>(file, 3, products);
  CHECK(products(1, 2 * 3 + 1) == file(1, 1 * 4 + 2));
  kernels::to_file_order<float>(products, 3, back);
  CHECK(same_bits(back, file));
  kernels::add_in_file_order<float>(products, 3, sum);
  CHECK(same_bits(sum, 2 * file));
}
