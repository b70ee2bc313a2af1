#include <lora/images/idx.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::images;
using namespace lora::test;

namespace {

std::string idx_bytes(std::vector<unsigned> extents, const std::string& data, char type = 8) {
  std::string bytes{0, 0, type, static_cast<char>(extents.size())};
  for (const unsigned extent : extents)
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(extent >> shift & 255);
  return bytes + data;
}

LabelledImages parse(const std::string& images, const std::string& labels) {
  const auto view = [](const std::string& text) {
    return std::span(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  };
  return parse_idx_images(view(images), "images", view(labels), "labels");
}

}  // namespace

TEST_CASE("IDX files of images and labels are read") {
  const std::string images = idx_bytes({2, 1, 3}, "abcdef"), labels = idx_bytes({2}, {7, 9});
  const LabelledImages all = parse(images, labels);
  REQUIRE(all.size() == 2);
  CHECK(all.labels == std::vector<int>{7, 9});
  CHECK(all.image(1).pixel(0, 2)[0] == 'f');
  CHECK_THROWS_AS(all.image(2), ShapeError);
  const TemporaryDirectory folder;
  write_whole(folder / "i", images);
  write_whole(folder / "l", labels);
  CHECK(read_idx_images(folder / "i", folder / "l").bytes == all.bytes);
}

TEST_CASE("IDX files of another kind, cut off, or of different lengths are refused") {
  const std::string images = idx_bytes({2, 1, 3}, "abcdef"), labels = idx_bytes({2}, {7, 9});
  const auto refused = [](const std::string& one, const std::string& other, const char* why) {
    check_throws<FileError>([&] { static_cast<void>(parse(one, other)); }, why);
  };
  refused("\x1F\x8B\x08", labels, "images: is compressed by gzip: give the file that gunzip");
  refused("abcd", labels, "images: is no IDX file");
  refused(idx_bytes({2, 1, 3}, "abcdef", 13), labels, "elements of type 13, expected bytes (8)");
  refused(labels, labels, "images: is no IDX file");
  refused(idx_bytes({2, 1, 3, 1}, "abcdef"), labels, "images: has 4 dimensions, expected 3");
  refused(images.substr(0, 20), labels, "images: has 4 bytes of data, expected 6 by its header");
  refused(images, idx_bytes({3}, {7, 9, 1}), "labels: has 3 labels, expected one for each of 2");
  refused(idx_bytes({0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}, "abc"), labels, "images: has 3 bytes");
  refused(idx_bytes({0, 0, 5}, ""), idx_bytes({0}, ""), "images: has images of 0 x 5 pixels");
  // Of no image any sizes are no bytes, and their product may be in no range.
  refused(idx_bytes({0, 3000000, 4000000}, ""), idx_bytes({0}, ""),
          "images: has images of 3000000 x 4000000 pixels, expected 1 to 1048576 each");
  for (std::size_t size = 0; size < images.size(); ++size)
    CHECK_THROWS_AS(parse(images.substr(0, size), labels), FileError);
}
