#include <lora/nn/max_pooling.hpp>

#include <limits>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/naive_conv2d.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a max pooling takes the largest of each window, and its gradient goes there") {
  for (const Window& window :
       {Window::square(3, 2, 1), Window::square(2, 2), Window{2, 3, 1, 2, 1, 0}}) {
    CAPTURE(window.kernel_height, window.kernel_width);
    const ImageShape in{2, 6, 7}, out = output_shape(window, in, "here");
    Matrix<double> x = random_matrix<double>(in.rows(), 3, 1), y, again, dx;
    // Below zero everywhere: padding is no zero.
    x.array() -= 10;
    MaxPoolingChoice choice;
    max_pooling<double>(x, in, window, y, choice);
    max_pooling<double>(x, in, window, again);
    CHECK(same_bits(y, again));
    REQUIRE(y.rows() == out.rows());
    CHECK((y.array() < 0).all());
    const Matrix<double> c = random_matrix<double>(out.rows(), 3, 2);
    max_pooling_backward<double>(c, choice, in, window, dx);
    const auto loss = [&] {
      max_pooling<double>(x, in, window, y);
      return (y.array() * c.array()).sum();
    };
    CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
  }
}

TEST_CASE("a max pooling takes the first of equals, and any NaN") {
  const ImageShape in{1, 1, 4};
  const double infinity = std::numeric_limits<double>::infinity();
  Matrix<double> x(4, 1), y;
  MaxPoolingChoice choice;
  const Window window{1, 4, 1, 1, 0, 0};
  x << 1, 3, 3, 2;
  max_pooling<double>(x, in, window, y, choice);
  CHECK(y(0, 0) == 3);
  CHECK(choice(0, 0) == 1);
  x << 1, std::numeric_limits<double>::quiet_NaN(), 3, 2;
  max_pooling<double>(x, in, window, y, choice);
  CHECK(std::isnan(y(0, 0)));
  CHECK(choice(0, 0) == 1);
  x.setConstant(-infinity);
  max_pooling<double>(x, in, window, y, choice);
  CHECK(y(0, 0) == -infinity);
  CHECK(choice(0, 0) == 0);
}

TEST_CASE("a max pooling refuses what is none, and gives the same bits for any threads") {
  const Matrix<float> x = random_matrix<float>(8 * 40 * 40, 16, 1);
  const ImageShape in{8, 40, 40};
  Matrix<float> y, dx, one, dx_one;
  check_throws<ConfigError>([&] { max_pooling<float>(x, in, Window::square(3, 2, 2), y); },
                            "padding is 2 x 2, expected at most half of the kernel");
  check_throws<ConfigError>([&] { max_pooling<float>(x, in, Window::square(2, 1, 0, 2), y); },
                            "a dilation");
  check_throws<ConfigError>([&] { max_pooling<float>(x, in, Window::square(17), y); },
                            "the window has 289 pixels, expected at most 256");
  check_throws<ShapeError>(
      [&] {
        max_pooling<float>(x, {8, 40, 39}, Window::square(3), y);
      },
      "max_pooling: x is");
  const Window window = Window::square(3, 2, 1);
  MaxPoolingChoice choice;
  for (const int count : {1, 3}) {
    const Threads threads(count);
    max_pooling<float>(x, in, window, y, choice);
    max_pooling_backward<float>(y, choice, in, window, dx);
    if (count == 1) {
      one = y;
      dx_one = dx;
    }
  }
  CHECK(same_bits(y, one));
  CHECK(same_bits(dx, dx_one));
  check_throws<ShapeError>(
      [&] { max_pooling_backward<float>(y.leftCols(3), choice, in, window, dx); },
      "max_pooling_backward: choice");
}
