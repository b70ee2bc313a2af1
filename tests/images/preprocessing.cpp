#include <lora/images/preprocessing.hpp>

#include "images/golden_images.hpp"
#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::images;
using namespace lora::test;

TEST_CASE("images are prepared as transformers' processors do it") {
  const auto golden = golden_images("preprocess.safetensors");
  const Preprocessing convnext{
      .height = 30, .width = 30, .mean = {0.5, 0.5, 0.5}, .std = {0.5, 0.5, 0.5}};
  const Preprocessing vit{.fitting = Fitting::warp,
                          .height = 17,
                          .width = 24,
                          .resample = Resampling::bilinear,
                          .mean = {0.5, 0.5, 0.5},
                          .std = {0.5, 0.5, 0.5}};
  for (const char* name : {"rgb", "wide"}) {
    CAPTURE(name);
    const Image image = golden_image(golden, name);
    Matrix<float> x;
    preprocess<float>(image.view(), convnext, x);
    CHECK(largest_difference(x, golden.read<float>(std::string(name) + "/convnext")) < 1e-6);
    preprocess<float>(image.view(), vit, x);
    CHECK(largest_difference(x, golden.read<float>(std::string(name) + "/vit")) < 1e-6);
  }
}

TEST_CASE("the middle of an image is cut out") {
  const Image image{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 2, 5, 1};
  CHECK(center_crop(image.view(), 1, 2).bytes == std::vector<std::uint8_t>{1, 2});
  // 1.5 rounds to 2, 0.5 to 0.
  CHECK(center_crop(image.view(), 1, 2, CropRounding::nearest).bytes ==
        std::vector<std::uint8_t>{2, 3});
  check_throws<ShapeError>([&] { static_cast<void>(center_crop(image.view(), 3, 2)); },
                           "center_crop: the size is 3 x 2, expected 1 to the 2 x 5 of the image");
}

TEST_CASE("the middle of a long image takes no memory for its ends") {
  // 256 x 1048576 pixels, were they all made.
  const Image image{std::vector<std::uint8_t>(3 * 4096, 9), 1, 4096, 3};
  Image made;
  CHECK(allocations_of([&] { made = fit(image.view(), {}); }).bytes < 2'000'000);
  CHECK(made.bytes == std::vector<std::uint8_t>(3 * 224 * 224, 9));
  // 224000 x 224000 pixels.
  const Image small{{9, 9, 9, 9}, 2, 2, 1};
  CHECK(allocations_of([&] { made = fit(small.view(), {.crop_fraction = 1e-3}); }).bytes <
        2'000'000);
}

TEST_CASE("pixels without mean and deviation are rescaled alone") {
  const Image image{{0, 51, 255}, 1, 1, 3};
  Matrix<double> x;
  normalize<double>(image.view(), {.mean = {}, .std = {}}, x);
  CHECK(x(0, 1) == Approx(0.2));
  check_throws<ShapeError>([&] { normalize<double>(image.view(), {.mean = {0.5}}, x); },
                           "image_mean is for 1 channels, the image has 3");
}

TEST_CASE("a preparation that nothing can be done with is refused") {
  const auto refused = [](const Preprocessing& how, const char* why) {
    check_throws<ConfigError>([&] { validate(how, "here"); }, why);
  };
  refused({.height = 0}, "here: the size is 0 x 224");
  refused({.height = 100}, "expected a square to crop");
  refused({.crop_fraction = 0}, "crop_pct is 0");
  refused({.std = {1, 0, 1}}, "image_std is 0");
  refused({.rescale_factor = 1e30}, "rescale_factor is 1e+30, image_mean up to 0.485");
  refused({.mean = {0, -1e300, 0}}, "image_mean up to 1e+300 and image_std down to 0.224");
  refused({.std = {1, 1, 1e-32}}, "image_std down to 1e-32, which makes numbers above 1e+30");
  const Image image{{0, 51, 255}, 1, 1, 3};
  check_throws<ShapeError>([&] { static_cast<void>(fit(image.view(), {.crop_fraction = 1e-300})); },
                           "resize: the size");
}
