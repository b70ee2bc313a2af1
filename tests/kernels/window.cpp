#include <lora/kernels/window.hpp>

#include <string>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;

TEST_CASE("a window counts the places that it has in an image, as PyTorch does") {
  const auto out = [](const Window& window, Index height, Index width) {
    return output_shape(window, {3, height, width}, "here");
  };
  CHECK(out(Window{}, 5, 7) == ImageShape{3, 5, 7});
  CHECK(out(Window::square(3, 1, 1), 5, 7) == ImageShape{3, 5, 7});
  CHECK(out(Window::square(7, 2, 3), 224, 225) == ImageShape{3, 112, 113});
  CHECK(out({3, 2, 2, 3, 0, 2}, 6, 6) == ImageShape{3, 2, 3});
  CHECK(out(Window::square(3, 2, 2, 3), 7, 8) == ImageShape{3, 3, 3});
  CHECK(out({2, 1, 1, 1, 0, 0, 4, 9}, 5, 7) == ImageShape{3, 1, 7});
  CHECK(Window{}.is_pointwise());
  CHECK(!Window::square(1, 2).is_pointwise());
  test::check_throws<ShapeError>([&] { static_cast<void>(out(Window::square(4, 1, 1), 1, 9)); },
                                 "here: images of 1 x 9 pixels, with padding of 1 x 1, are smaller "
                                 "than the kernel of 4 x 4");
  test::check_throws<ShapeError>([&] { static_cast<void>(out(Window::square(3, 1, 0, 2), 4, 9)); },
                                 "the kernel of 5 x 5");
}

TEST_CASE("images are to be large enough for what stands around them") {
  const auto refused = [](PaddingMode mode, Index size, const std::string& why) {
    const Window window = Window::square(3, 1, 2, 1, mode);
    CHECK_NOTHROW(output_shape(window, {1, size + 1, size + 1}, "here"));
    test::check_throws<ShapeError>(
        [&] {
          static_cast<void>(output_shape(window, {1, size, size + 1}, "here"));
        },
        why);
  };
  refused(PaddingMode::reflect, 2, "are smaller than what is mirrored, of 3 x 3");
  refused(PaddingMode::circular, 1, "are smaller than what is repeated, of 2 x 2");
  CHECK_NOTHROW(
      output_shape(Window::square(3, 1, 9, 1, PaddingMode::replicate), {1, 1, 1}, "here"));
}

TEST_CASE("a window out of range is refused") {
  CHECK_NOTHROW(validate(Window::square(2, 3, 4), "here"));
  test::check_throws<ConfigError>([] { validate(Window::square(0), "here"); },
                                  "here: kernel_size is 0 x 0, expected at least 1");
  test::check_throws<ConfigError>([] { validate(Window::square(1, -1), "here"); }, "stride");
  test::check_throws<ConfigError>([] { validate(Window::square(1, 1, -1), "here"); }, "padding");
  test::check_throws<ConfigError>([] { validate(Window::square(1, 1, 0, 0), "here"); }, "dilation");
}
