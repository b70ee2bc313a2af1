#include "examples/digits/idx.hpp"

#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <string>

#include "support/allocations.hpp"
#include "support/catch.hpp"

using namespace digits;
using Catch::Matchers::ContainsSubstring;
namespace fs = std::filesystem;

namespace {

// A directory of its own, gone at the end.
class Folder {
 public:
  Folder() : path_(fs::temp_directory_path() / lora::message("lora-idx-", ::getpid())) {
    fs::create_directories(path_);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  ~Folder() { fs::remove_all(path_); }

  [[nodiscard]] fs::path write(const std::string& name, const std::string& bytes) const {
    std::ofstream(path_ / name, std::ios::binary) << bytes;
    return path_ / name;
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::string word(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xFF);
  return bytes;
}

std::string image_file(std::uint32_t count, std::uint32_t rows, std::uint32_t cols,
                       std::size_t pixels) {
  std::string bytes = word(0x803) + word(count) + word(rows) + word(cols);
  for (std::size_t i = 0; i < pixels; ++i) bytes += static_cast<char>(i * 51 % 256);
  return bytes;
}

std::string label_file(const std::string& labels) {
  return word(0x801) + word(static_cast<std::uint32_t>(labels.size())) + labels;
}

std::string error_of(const std::string& images, const std::string& labels) {
  const Folder folder;
  const fs::path image_path = folder.write("images", images);
  const fs::path label_path = folder.write("labels", labels);
  const auto taken = lora::test::allocations_so_far().bytes;
  try {
    static_cast<void>(read_idx(image_path, label_path));
  } catch (const lora::FileError& error) {
    // Whatever the file says of its size, nothing of that size was asked for.
    CHECK(lora::test::allocations_so_far().bytes - taken < 100000);
    return error.what();
  }
  FAIL("no FileError");
  return {};
}

}  // namespace

TEST_CASE("IDX files are read") {
  const Folder folder;
  const Samples all = read_idx(folder.write("images", image_file(2, 2, 3, 12)),
                               folder.write("labels", label_file({7, 0})));
  REQUIRE(all.size() == 2);
  REQUIRE(all.images.cols() == 6);
  CHECK(all.labels == std::vector<int>{7, 0});
  CHECK(all.images(0, 0) == 0);
  CHECK(all.images(0, 1) == 51.0F / 255);
  CHECK(all.images(0, 5) == 1);
  CHECK(all.images(1, 0) == 50.0F / 255);
}

TEST_CASE("MNIST's four files are read, and a sixth of the training images validates") {
  const Folder folder;
  const std::string digits("\0\1\2\3\4\5\6\7\x8\x9\0\5", 12);
  static_cast<void>(folder.write("train-images-idx3-ubyte", image_file(12, 2, 2, 48)));
  static_cast<void>(folder.write("train-labels-idx1-ubyte", label_file(digits)));
  static_cast<void>(folder.write("t10k-labels-idx1-ubyte", label_file({1, 2, 3})));
  CHECK_THROWS_WITH(read_mnist(folder.path(), 1), ContainsSubstring("t10k-images-idx3-ubyte"));
  static_cast<void>(folder.write("t10k-images-idx3-ubyte", image_file(3, 2, 3, 18)));
  CHECK_THROWS_WITH(read_mnist(folder.path(), 1),
                    ContainsSubstring("training images have 4 pixels, the test images 6"));
  static_cast<void>(folder.write("t10k-images-idx3-ubyte", image_file(3, 2, 2, 12)));
  const Split all = read_mnist(folder.path(), 1);
  CHECK(all.train.size() == 10);
  CHECK(all.validation.size() == 2);
  CHECK(all.test.labels == std::vector<int>{1, 2, 3});
}

TEST_CASE("compressed files are named as such") {
  const Folder folder;
  static_cast<void>(folder.write("train-images-idx3-ubyte.gz", "\x1F\x8B"));
  CHECK_THROWS_WITH(read_mnist(folder.path(), 1),
                    ContainsSubstring("train-images-idx3-ubyte.gz: is compressed by gzip"));
  CHECK_THAT(error_of("\x1F\x8B\x08 and more", label_file({1})),
             ContainsSubstring("images: is compressed"));
}

TEST_CASE("IDX files that lie are refused by name") {
  const std::string images = image_file(2, 2, 3, 12), labels = label_file({7, 0});
  // Cut short anywhere, or with something behind the end.
  for (std::size_t length = 1; length < images.size(); ++length)
    CHECK_THAT(
        error_of(images.substr(0, length), labels),
        ContainsSubstring("images: ") && (ContainsSubstring("expected a header of 16") ||
                                          ContainsSubstring("says that it holds 2 x 2 x 3 bytes")));
  CHECK_THAT(error_of("", labels), ContainsSubstring("images: is empty"));
  CHECK_THAT(error_of(images + "x", labels),
             ContainsSubstring("says that it holds 2 x 2 x 3 bytes, but 13 follow the header"));
  CHECK_THAT(error_of(images, labels.substr(0, 9)),
             ContainsSubstring("labels: says that it holds 2 bytes"));
  // Sizes whose product is 2^96, 2^64 (0 in 64 bits), 12 in 64 bits, and zero.
  for (const auto& [count, rows, cols] :
       {std::array{0xFFFFFFFFU, 0xFFFFFFFFU, 0xFFFFFFFFU}, std::array{1U << 31, 1U << 31, 4U},
        std::array{3U, 0x80000001U, 0x80000004U}})
    CHECK_THAT(error_of(image_file(count, rows, cols, 12), labels),
               ContainsSubstring("says that it holds"));
  for (const auto& [count, rows, cols] :
       {std::array{0U, 2U, 3U}, std::array{2U, 0U, 3U}, std::array{2U, 2U, 0U}})
    CHECK_THAT(error_of(image_file(count, rows, cols, 12), labels),
               ContainsSubstring("is 0, expected at least 1"));
  // Another type of elements, another number of dimensions, the wrong byte order.
  CHECK_THAT(error_of(labels + std::string(20, '\0'), labels),
             ContainsSubstring("begins with 2049, expected 2051"));
  CHECK_THAT(error_of(images, images),
             ContainsSubstring("labels: begins with 2051, expected 2049"));
  CHECK_THAT(error_of(word(0xD03) + images.substr(4), labels),
             ContainsSubstring("begins with 3331"));
  CHECK_THAT(error_of(word(0x03080000) + images.substr(4), labels),
             ContainsSubstring("expected 2051"));
  // Files that do not belong together, labels that are no digits.
  CHECK_THAT(error_of(images, label_file({7, 0, 1})),
             ContainsSubstring("labels: has 3 labels, expected one for each of the 2 images of"));
  CHECK_THAT(error_of(images, label_file({7, 10})),
             ContainsSubstring("labels: label 1 is 10, expected a digit"));
}
