#include <lora/images/image.hpp>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::images;

TEST_CASE("an image is its bytes and a size that fits them") {
  const Image image{{1, 2, 3, 4, 5, 6}, 1, 2, 3};
  CHECK(image.view().pixel(0, 1)[2] == 6);
  const auto refused = [&](Index height, Index width, Index channels, const char* why) {
    test::check_throws<ShapeError>([&] { ImageView(image.bytes, height, width, channels); }, why);
  };
  refused(2, 2, 3, "an image of 2 x 2 pixels and 3 channels has 6 bytes, expected 12");
  refused(0, 2, 3, "an image is 0 x 2 pixels");
  refused(1 << 21, 2, 3, "expected 1 to 1048576 each");
  refused(1, 3, 2, "an image has 2 channels, expected 1 or 3");
}
