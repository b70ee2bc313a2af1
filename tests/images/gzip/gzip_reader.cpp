#include <lora/images/gzip/gzip_reader.hpp>

#include <array>
#include <string>
#include <utility>

#include "support/catch.hpp"
#include "support/gzip_bytes.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::images;
using namespace lora::test;

namespace {

// Bytes that compress a little.
std::string gzip_sample(std::size_t size) {
  std::string text;
  std::uint32_t state = 7;
  while (text.size() < size) {
    state = state * 1664525 + 1013904223;
    text += static_cast<char>('a' + (state >> 28));
  }
  return text;
}

std::string unzipped(const std::string& file, std::uint64_t limit = 1 << 20) {
  const auto all = gunzip(bytes_of(file), limit, "file");
  return {all.begin(), all.end()};
}

void gunzip_refuses(const std::string& file, const std::string& why) {
  check_throws<FileError>([&] { static_cast<void>(unzipped(file)); }, "file: " + why);
}

}  // namespace

TEST_CASE("gzip's data are decompressed, of any size and in pieces of any size") {
  for (const std::size_t size : {0U, 1U, 2U, 65535U, 65536U, 65537U, 300000U}) {
    const std::string text = gzip_sample(size);
    CAPTURE(size);
    CHECK(unzipped(gzip_bytes(text)) == text);
  }
  const std::string text = gzip_sample(1000), file = gzip_bytes(text);
  for (const std::size_t piece : {1U, 7U, 999U, 1000U, 1001U}) {
    GzipReader reader(bytes_of(file), "file");
    std::string found;
    std::array<std::uint8_t, 1001> some{};
    std::size_t count = 0;
    do {
      count = reader.read(std::span(some).first(piece));
      found.append(some.begin(), some.begin() + count);
    } while (count == piece);
    CAPTURE(piece);
    CHECK(found == text);
    CHECK(reader.read(some) == 0);
  }
}

TEST_CASE("a gzip reader goes on where it was after it is moved") {
  const std::string file = gzip_bytes("abcdef");
  GzipReader first(bytes_of(file), "file");
  CHECK(first.read_up_to(2).size() == 2);
  GzipReader second(std::move(first));
  const auto rest = second.read_up_to(100);
  CHECK(std::string(rest.begin(), rest.end()) == "cdef");
}

TEST_CASE("members of a gzip file stand for what is in all of them") {
  const std::string empty = gzip_bytes("");
  CHECK(unzipped(gzip_bytes("abc") + gzip_bytes("de")) == "abcde");
  CHECK(unzipped(empty + gzip_bytes("abc") + empty + empty + gzip_bytes("de") + empty) == "abcde");
  gunzip_refuses(gzip_bytes("abc") + gzip_bytes("de").substr(0, 12), "is cut off: its ");
}

TEST_CASE("what is no gzip data, or was damaged, is refused and says so") {
  const std::string file = gzip_bytes(gzip_sample(100));
  gunzip_refuses("", "is no gzip file: it has 0 bytes");
  gunzip_refuses("\x1F", "is no gzip file: it has 1 bytes");
  gunzip_refuses("abcdef", "is no gzip file: it has 6 bytes, which do not begin with 1F 8B");
  // What zlib's compress makes, and a method that nobody has.
  gunzip_refuses("\x78\x9C\x4B\x4C\x02\x00", "is no gzip file");
  gunzip_refuses("\x1F\x8B\x07 ........", "has damaged gzip data before byte ");
  for (std::size_t size = 2; size < file.size(); ++size) {
    CAPTURE(size);
    gunzip_refuses(file.substr(0, size), message("is cut off: its ", size, " bytes end within"));
  }
  std::string crc = file, length = file;
  crc[crc.size() - 8] ^= 1;
  length[length.size() - 1] ^= 1;
  gunzip_refuses(crc, "has damaged gzip data before byte ");
  gunzip_refuses(crc, message("has damaged gzip data before byte ", file.size() - 4, " of ",
                              file.size(), ": incorrect data check"));
  gunzip_refuses(length, message("has damaged gzip data before byte ", file.size(), " of ",
                                 file.size(), ": incorrect length check"));
  gunzip_refuses(file + '\0', "has 1 bytes behind its gzip data, which are no gzip data");
  gunzip_refuses(file + "abc", "has 3 bytes behind its gzip data");
  gunzip_refuses(file + '\x1F', "has 1 bytes behind its gzip data");
  gunzip_refuses(file + "\x1F\x8B", "is cut off");
}

TEST_CASE("no byte of a gzip file changes without an error or the same data") {
  const std::string text = gzip_sample(100), file = gzip_bytes(text);
  int refused = 0;
  for (std::size_t i = 0; i < file.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = file;
      changed[i] = static_cast<char>(changed[i] ^ (1 << bit));
      std::string found = text;
      try {
        found = unzipped(changed);
      } catch (const FileError&) {
        ++refused;
      }
      CAPTURE(i, bit);
      CHECK(found == text);
    }
  // All but the header's time and system, and some bits that mean nothing.
  CHECK(refused > 8 * static_cast<int>(file.size()) - 64);
}

TEST_CASE("gunzip decompresses no more than its limit, and a byte") {
  const std::string file = gzip_bytes("abc");
  CHECK(unzipped(file, 3) == "abc");
  CHECK(unzipped(gzip_bytes(""), 0).empty());
  check_throws<FileError>([&] { static_cast<void>(unzipped(file, 2)); },
                          "file: holds more than 2 bytes, the limit");
  const std::string bomb = gzip_bytes(std::string(50'000'000, '\0'));
  CHECK(bomb.size() < 100'000);
  check_throws<FileError>([&] { static_cast<void>(unzipped(bomb, 1000)); }, "holds more than 1000");
  // A limit that is no size of anything takes no memory.
  CHECK(unzipped(file, ~std::uint64_t{0}) == "abc");
}
