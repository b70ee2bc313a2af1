#include <lora/nn/pixel_mean.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("the mean over an image's pixels, and its gradient") {
  const ImageShape in{2, 3, 4};
  const Matrix<double> x = random_matrix<double>(24, 5, 1), dy = random_matrix<double>(2, 5, 2);
  Matrix<double> y, dx;
  pixel_mean<double>(x, in, y);
  CHECK(largest_difference(y.row(1), x.bottomRows(12).colwise().mean()) < 1e-14);
  pixel_mean_backward<double>(dy, in, dx);
  REQUIRE(dx.rows() == 24);
  CHECK(dx(13, 2) == Approx(dy(1, 2) / 12));
  CHECK((dx.array() * x.array()).sum() == Approx((dy.array() * y.array()).sum()));
  check_throws<ShapeError>(
      [&] {
        pixel_mean<double>(x, {2, 3, 3}, y);
      },
      "pixel_mean: x is (24, 5)");
  check_throws<ShapeError>([&] { pixel_mean_backward<double>(dy, {3, 3, 4}, dx); }, "dy");
}
