#include <lora/images/gzip/idx_gzip.hpp>

#include <string>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/gzip_bytes.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::images;
using namespace lora::test;

namespace {

std::string idx_file(std::vector<unsigned> extents, const std::string& data, char type = 8) {
  std::string bytes{0, 0, type, static_cast<char>(extents.size())};
  for (const unsigned extent : extents)
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(extent >> shift & 255);
  return bytes + data;
}

LabelledImages parse_zipped(const std::string& images, const std::string& labels) {
  return parse_idx_gzip_images(bytes_of(images), "images", bytes_of(labels), "labels");
}

const std::string idx_images = idx_file({2, 1, 3}, "abcdef"), idx_labels = idx_file({2}, {7, 9});

}  // namespace

TEST_CASE("IDX files that gzip compressed are read as those that it did not") {
  const std::string images = gzip_bytes(idx_images), labels = gzip_bytes(idx_labels);
  const LabelledImages all = parse_zipped(images, labels);
  const LabelledImages plain =
      parse_idx_images(bytes_of(idx_images), "images", bytes_of(idx_labels), "labels");
  CHECK(all.bytes == plain.bytes);
  CHECK(all.labels == std::vector<int>{7, 9});
  CHECK(all.height == 1);
  CHECK(all.width == 3);
  CHECK(all.channels == 1);
  const TemporaryDirectory folder;
  write_whole(folder / "i", images);
  write_whole(folder / "l", labels);
  CHECK(read_idx_gzip_images(folder / "i", folder / "l").bytes == all.bytes);
}

TEST_CASE("an IDX file in several gzip members is read, wherever they part") {
  const std::string labels = gzip_bytes(idx_labels);
  for (std::size_t i = 0; i <= idx_images.size(); ++i)
    CHECK(
        parse_zipped(gzip_bytes(idx_images.substr(0, i)) + gzip_bytes(idx_images.substr(i)), labels)
            .bytes.size() == 6);
}

TEST_CASE("gzipped IDX files of another kind, cut off, or of different lengths are refused") {
  const std::string labels = gzip_bytes(idx_labels);
  const auto refused = [](const std::string& one, const std::string& other, const char* why) {
    check_throws<FileError>([&] { static_cast<void>(parse_zipped(one, other)); }, why);
  };
  refused(idx_images, labels, "images: is no gzip file");
  refused(gzip_bytes(idx_images), idx_labels, "labels: is no gzip file");
  refused(gzip_bytes(gzip_bytes(idx_images)), labels, "images: is compressed by gzip");
  refused(gzip_bytes("abcd"), labels, "images: is no IDX file");
  refused(gzip_bytes(idx_file({2, 1, 3}, "abcdef", 13)), labels, "images: has elements of type 13");
  refused(gzip_bytes(idx_file({2, 1, 3, 1}, "abcdef")), labels,
          "images: has 4 dimensions, expected 3");
  refused(gzip_bytes(idx_images), gzip_bytes(idx_file({3}, {7, 9, 1})),
          "labels: has 3 labels, expected one for each of 2");
  refused(gzip_bytes(idx_images.substr(0, 20)), labels,
          "images: has 4 bytes of data, expected 6 by its header");
  refused(gzip_bytes(idx_images + "g"), labels,
          "images: has more bytes of data than the 6 of its header");
  refused(gzip_bytes(idx_images) + "g", labels, "images: has 1 bytes behind its gzip data");
  refused(gzip_bytes(idx_images), labels.substr(0, labels.size() - 1), "labels: is cut off");
  const std::string images = gzip_bytes(idx_images);
  for (std::size_t size = 0; size < images.size(); ++size)
    CHECK_THROWS_AS(parse_zipped(images.substr(0, size), labels), FileError);
}

TEST_CASE("gzipped IDX files that hold or promise too much take no memory for it") {
  const std::string labels = gzip_bytes(idx_labels);
  // Less than what the sizes say by far; zlib itself takes some 40 kilobytes.
  const auto refused_small = [&](const std::string& images, const char* why) {
    const auto action = [&] { static_cast<void>(parse_zipped(images, labels)); };
    CHECK(allocations_of([&] { check_throws<FileError>(action, why); }).bytes < 1'000'000);
  };
  refused_small(gzip_bytes(idx_images + std::string(50'000'000, '\0')),
                "images: has more bytes of data than the 6 of its header");
  refused_small(gzip_bytes(idx_file({2, 1 << 20, 1 << 20}, "abc")),
                "images: has 3 bytes of data, expected 2199023255552 by its header");
}
