#include <lora/core/image_shape.hpp>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;

TEST_CASE("images are rows, one a pixel, and what is none is refused") {
  const ImageShape shape{2, 3, 4};
  CHECK(shape.rows() == 24);
  const Matrix<float> x = Matrix<float>::Zero(24, 5);
  const auto check = [&](const ImageShape& size, Index channels) {
    require_pixels<float>(x, size, channels, "here", "x");
  };
  CHECK_NOTHROW(check(shape, 5));
  test::check_throws<ShapeError>([&] { check(shape, 4); },
                                 "here: x is (24, 5), expected (24, 4): one row for each pixel of "
                                 "2 images of 3 x 4");
  test::check_throws<ShapeError>([&] { check({2, 3, 3}, 5); }, "expected (18, 5)");
  test::check_throws<ShapeError>([&] { check({2, -3, -4}, 5); }, "2 images of -3 x -4 pixels");
}
