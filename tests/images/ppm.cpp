#include <lora/images/ppm.hpp>

#include <string>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::images;
using namespace lora::test;

TEST_CASE("PPM and PGM files are read, with comments") {
  const Image colour = parse_ppm(std::string("P6\n# a comment\n2 1\n255\nabcdef"), "f");
  CHECK(colour.width == 2);
  CHECK(parse_ppm(std::string("P5 # one\r1 # two\n1 255 a"), "f").bytes.front() == 'a');
  CHECK(colour.channels == 3);
  CHECK(colour.view().pixel(0, 1)[0] == 'd');
  const TemporaryDirectory folder;
  write_whole(folder / "g.pgm", "P5 1 2 255\n\n#");
  const Image grey = read_ppm(folder / "g.pgm");
  CHECK(grey.channels == 1);
  CHECK(grey.bytes == std::vector<std::uint8_t>{'\n', '#'});
}

TEST_CASE("a PPM file that is none or cut off is refused") {
  const auto refused = [](const std::string& bytes, const char* why) {
    check_throws<FileError>([&] { static_cast<void>(parse_ppm(bytes, "f.ppm")); }, why);
  };
  refused("P3\n1 1\n255\n1 2 3", "f.ppm: is no PPM (P6) or PGM (P5) image");
  refused("P6", "its header lacks white space");
  refused("P6\n", "has no width of 1 to 1048576");
  refused("P6\n#", "has no width");
  refused("P6\n0 1\n255\n", "has no width");
  refused("P6\n1 99999999\n255\n", "has no height of 1 to 1048576");
  refused("P51 1 255 a", "its header lacks white space");
  refused("P5 1 1 255Xa", "its header lacks white space");
  refused("P6\n1 1\n65535\nabcdef", "has a largest value other than 255");
  refused("P6\n1 1\n255", "has 0 bytes of pixels, expected 3");
  refused("P6\n1 1\n255\nab", "has 2 bytes of pixels, expected 3");
  refused("P6\n1 1\n255\nabcd", "has 4 bytes of pixels, expected 3");
  // A header may promise terabytes.
  refused("P6\n1048576 1048576\n255\nabcd", "has 4 bytes of pixels, expected 3298534883328");
}
