#include <lora/images/resize.hpp>

#include <string>

#include "images/golden_images.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::images;
using namespace lora::test;

TEST_CASE("images of other sizes are Pillow's, to the byte, by every filter") {
  const auto golden = golden_images("resize.safetensors");
  int checked = 0;
  for (const auto& [key, tensor] : golden.tensors()) {
    const std::size_t slash = key.find('/');
    if (slash == std::string::npos) continue;
    CAPTURE(key);
    const Image from = golden_image(golden, key.substr(0, slash));
    const Image expected = golden_image(golden, key);
    const auto how = static_cast<Resampling>(key[slash + 1] - '0');
    const Image made = resize(from.view(), expected.height, expected.width, how);
    CHECK(made.bytes == expected.bytes);
    CHECK(made.channels == from.channels);
    ++checked;
  }
  CHECK(checked == 60);
}

TEST_CASE("an image of the same size stays as it is, and one of none is refused") {
  const Image image{{9, 8, 7, 6}, 2, 2, 1};
  for (const Resampling how : {Resampling::nearest, Resampling::bicubic})
    CHECK(resize(image.view(), 2, 2, how).bytes == image.bytes);
  check_throws<ShapeError>([&] { static_cast<void>(resize(image.view(), 0, 2, Resampling::box)); },
                           "resize: the size is 0 x 2, expected 1 to 1048576 pixels each");
}
