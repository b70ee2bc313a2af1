#include "examples/images/photo_folder.hpp"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <lora/images/ppm.hpp>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

using namespace lora::test;

namespace {

std::filesystem::path golden_photo(const std::string& name) {
  return std::filesystem::path(LORA_GOLDEN_DIR) / "photos" / name;
}

std::vector<char> photo_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_photo(const std::filesystem::path& path, const std::vector<char>& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// Those that this build decodes.
std::vector<std::string> photo_names() {
  std::vector<std::string> names;
#if LORA_HAS_PNG
  for (const char* name : {"rgb", "grey", "rgba", "palette", "bits", "grey_alpha"})
    names.push_back(std::string(name) + ".png");
#endif
#if LORA_HAS_JPEG
  for (const char* name : {"420", "444", "progressive", "grey", "cmyk"})
    names.push_back(std::string(name) + ".jpg");
#endif
  return names;
}

}  // namespace

TEST_CASE("photographs are decoded to Pillow's pixels") {
  for (const std::string& name : photo_names()) {
    CAPTURE(name);
    const auto image = photos::read_photo(golden_photo(name));
    const auto expected = lora::images::read_ppm(golden_photo(name + ".ppm"));
    CHECK(image.height == expected.height);
    CHECK(image.width == expected.width);
    CHECK(image.channels == 3);
    CHECK(image.bytes == expected.bytes);
  }
  // A PPM as it is, a PGM as grey of three channels.
  CHECK(photos::read_photo(golden_photo("rgb.png.ppm")).bytes ==
        lora::images::read_ppm(golden_photo("rgb.png.ppm")).bytes);
  const TemporaryDirectory directory;
  write_photo(directory / "two.pgm",
              {'P', '5', ' ', '2', ' ', '1', ' ', '2', '5', '5', '\n', 7, 9});
  CHECK(photos::read_photo(directory / "two.pgm").bytes ==
        std::vector<std::uint8_t>{7, 7, 7, 9, 9, 9});
}

TEST_CASE("a photograph that ends early is refused, wherever it ends, and named") {
  const TemporaryDirectory directory;
  for (const std::string& name : photo_names()) {
    const std::vector<char> whole = photo_bytes(golden_photo(name));
    const auto path = directory / name;
    for (std::size_t size = 0; size + 2 < whole.size(); size += 7) {
      CAPTURE(name, size);
      write_photo(path, {whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size)});
      check_throws<lora::FileError>([&] { static_cast<void>(photos::read_photo(path)); },
                                    path.string());
    }
  }
}

TEST_CASE("a photograph with any byte changed is read or refused") {
  const TemporaryDirectory directory;
  int refused = 0;
  for (const std::string& name : photo_names()) {
    const std::vector<char> whole = photo_bytes(golden_photo(name));
    const auto path = directory / name;
    for (std::size_t at = 0; at < whole.size(); at += 3) {
      CAPTURE(name, at);
      std::vector<char> changed = whole;
      changed[at] = static_cast<char>(changed[at] ^ 0x55);
      write_photo(path, changed);
      try {
        const auto image = photos::read_photo(path);
        CHECK(static_cast<lora::Index>(image.bytes.size()) == image.height * image.width * 3);
      } catch (const lora::FileError&) {
        ++refused;
      }
    }
  }
  CHECK((photo_names().empty() || refused > 100));
}

#if LORA_HAS_PNG
TEST_CASE(
    "a PNG that claims more pixels than it can have is refused before there is room for them") {
  const TemporaryDirectory directory;
  std::vector<char> bytes = photo_bytes(golden_photo("rgb.png"));
  bytes[18] = 0x20;  // the width, big-endian in bytes 16 to 19: 8,215
  bytes[22] = 0x20;  // the height
  // Its header's checksum no longer holds, which libpng looks at first.
  write_photo(directory / "large.png", bytes);
  check_throws<lora::FileError>(
      [&] { static_cast<void>(photos::read_photo(directory / "large.png")); },
      "large.png: as a PNG");
}
#endif

#if LORA_HAS_JPEG
TEST_CASE(
    "a JPEG that claims more pixels than it can have is refused before there is room for them") {
  const TemporaryDirectory directory;
  std::vector<char> bytes = photo_bytes(golden_photo("444.jpg"));
  for (std::size_t i = 0; i + 8 < bytes.size(); ++i) {
    // The frame header: FF C0, two bytes of length, one of precision, height, width.
    if (bytes[i] != static_cast<char>(0xFF) || bytes[i + 1] != static_cast<char>(0xC0)) continue;
    bytes[i + 5] = bytes[i + 7] = 0x20;
    break;
  }
  write_photo(directory / "large.jpg", bytes);
  check_throws<lora::FileError>(
      [&] { static_cast<void>(photos::read_photo(directory / "large.jpg")); },
      "large.jpg: as a JPEG: it claims 8211 x 8215 pixels");
}
#endif

TEST_CASE("photographs are listed by class, and a class without any is named") {
  const TemporaryDirectory directory;
  const auto make = [&](const std::string& name) {
    std::filesystem::create_directories((directory / name).parent_path());
    write_photo(directory / name, {'P', '5', ' ', '1', ' ', '1', ' ', '2', '5', '5', '\n', 7});
  };
  make("photos/cat/b.pgm");
  make("photos/cat/a.pgm");
  check_throws<lora::FileError>(
      [&] { static_cast<void>(photos::list_photos(directory / "photos")); }, "has 1 folders");
  make("photos/dog/c.pgm");
  make("photos/.hidden/d.pgm");
  make("photos/cat/.notes");
  const photos::PhotoFiles files = photos::list_photos(directory / "photos");
  CHECK(files.classes == std::vector<std::string>{"cat", "dog"});
  REQUIRE(files.files[0].size() == 2);
  CHECK(files.files[0][0].filename() == "a.pgm");
  lora::images::Preprocessing how;
  how.height = how.width = 4;
  int read = 0;
  const auto images = photos::read_photos(files, 0, 1, how, [&] { ++read; });
  CHECK(images.labels == std::vector<int>{0, 1});
  CHECK(images.bytes == std::vector<std::uint8_t>(2 * 4 * 4 * 3, 7));
  CHECK(read == 2);
  std::filesystem::create_directories(directory / "photos" / "empty");
  check_throws<lora::FileError>(
      [&] { static_cast<void>(photos::list_photos(directory / "photos")); },
      "empty: a class without photographs");
  check_throws<lora::FileError>([&] { static_cast<void>(photos::list_photos(directory / "none")); },
                                "cannot be listed");
  write_photo(directory / "text.jpg", {'h', 'e', 'l', 'l', 'o'});
  check_throws<lora::FileError>(
      [&] { static_cast<void>(photos::read_photo(directory / "text.jpg")); },
      "text.jpg: is no image that this program reads");
}
