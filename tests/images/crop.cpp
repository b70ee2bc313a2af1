#include <lora/images/crop.hpp>

#include <cstdint>
#include <limits>
#include <vector>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::images;

TEST_CASE("a part of an image is cut out") {
  const Image image{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 2, 5, 1};
  CHECK(crop(image.view(), {0, 0, 2, 5}).bytes == image.bytes);
  CHECK(crop(image.view(), {0, 3, 2, 2}).bytes == std::vector<std::uint8_t>{3, 4, 8, 9});
  CHECK(crop(image.view(), {1, 0, 1, 1}).bytes == std::vector<std::uint8_t>{5});
  const Image colours{{0, 1, 2, 3, 4, 5}, 1, 2, 3};
  CHECK(crop(colours.view(), {0, 1, 1, 1}).bytes == std::vector<std::uint8_t>{3, 4, 5});
}

TEST_CASE("a part that an image does not have is refused") {
  const Image image{{0, 1, 2, 3}, 2, 2, 1};
  const Index most = std::numeric_limits<Index>::max();
  for (const ImagePart& part : {ImagePart{0, 0, 0, 1},
                                {0, 0, 1, 0},
                                {-1, 0, 1, 1},
                                {0, -1, 1, 1},
                                {1, 0, 2, 1},
                                {0, 2, 1, 1},
                                {most, 0, 1, 1},
                                {0, 1, 1, most}})
    test::check_throws<ShapeError>([&] { static_cast<void>(crop(image.view(), part)); },
                                   "expected one of an image of 2 x 2");
}
