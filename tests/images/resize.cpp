#include <lora/images/resize.hpp>

#include <string>
#include <utility>

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

TEST_CASE("a part of a resized image is what would be cut out of it") {
  const auto golden = golden_images("resize.safetensors");
  for (const char* name : {"rgb", "grey"}) {
    const Image from = golden_image(golden, name);
    const Index h = from.height, w = from.width;
    for (int how = 0; how < 6; ++how)
      for (const auto& [height, width] : {std::pair{h, w},
                                          {h, w + 9},
                                          {h + 9, w},
                                          {2 * h, 2 * w},
                                          {h / 2, w - 1},
                                          {h - 2, w / 2}}) {
        const auto filter = static_cast<Resampling>(how);
        const Image whole = resize(from.view(), height, width, filter);
        for (const ImagePart& part : {ImagePart{0, 0, height, width},
                                      {1, 2, 3, 4},
                                      {height - 1, width - 2, 1, 2},
                                      {2, 0, 1, width}}) {
          CAPTURE(name, how, height, width, part.top, part.left);
          const Image made = resize(from.view(), height, width, filter, part);
          CHECK(made.bytes == crop(whole.view(), part).bytes);
          CHECK(made.height == part.height);
          CHECK(made.width == part.width);
        }
      }
  }
  const Image image{{9, 8, 7, 6}, 2, 2, 1};
  check_throws<ShapeError>(
      [&] {
        static_cast<void>(resize(image.view(), 3, 3, Resampling::box, {1, 1, 3, 1}));
      },
      "resize: the part is 3 x 1 from (1, 1), expected one of an image of 3 x 3");
}

TEST_CASE("an image of the same size stays as it is, and one of none is refused") {
  const Image image{{9, 8, 7, 6}, 2, 2, 1};
  for (const Resampling how : {Resampling::nearest, Resampling::bicubic})
    CHECK(resize(image.view(), 2, 2, how).bytes == image.bytes);
  check_throws<ShapeError>([&] { static_cast<void>(resize(image.view(), 0, 2, Resampling::box)); },
                           "resize: the size is 0 x 2, expected 1 to 1048576 pixels each");
}
