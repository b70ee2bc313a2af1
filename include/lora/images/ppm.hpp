#pragma once

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "lora/images/image.hpp"
#include "lora/io/mapped_file.hpp"

namespace lora::images {

/// Reads the bytes of a PPM (P6, red, green, blue) or PGM (P5, grey) file of one image with values
/// up to 255. Throws FileError, beginning with `where`, for other kinds, a header that is none, and
/// bytes that are missing or too many.
[[nodiscard]] inline Image parse_ppm(std::string_view bytes, const std::string& where) {
  const auto fail = [&](const std::string& what) { throw FileError(where + ": " + what); };
  if (!bytes.starts_with("P6") && !bytes.starts_with("P5"))
    fail("is no PPM (P6) or PGM (P5) image");
  const Index channels = bytes[1] == '6' ? 3 : 1;
  std::size_t at = 2;
  const auto number = [&](const char* what, Index most) {
    while (at < bytes.size() &&
           std::string_view(" \t\r\n#").find(bytes[at]) != std::string_view::npos)
      at = bytes[at] == '#' ? std::min(bytes.find('\n', at), bytes.size()) : at + 1;
    Index value = 0;
    const char* const begin = bytes.data() + at;
    const auto end = std::from_chars(begin, bytes.data() + bytes.size(), value);
    if (end.ptr == begin || end.ec != std::errc() || value < 1 || value > most)
      fail(message("has no ", what, " of 1 to ", most));
    at += static_cast<std::size_t>(end.ptr - begin);
    return value;
  };
  const Index width = number("width", size_limit), height = number("height", size_limit);
  if (number("largest value", 65535) != 255) fail("has a largest value other than 255");
  ++at;  // one white space
  const auto expected = static_cast<std::size_t>(height * width * channels);
  if (at > bytes.size() || bytes.size() - at != expected)
    fail(message("has ", bytes.size() - std::min(at, bytes.size()), " bytes of pixels, expected ",
                 expected));
  Image image{{}, height, width, channels};
  image.bytes.assign(bytes.begin() + static_cast<std::ptrdiff_t>(at), bytes.end());
  return image;
}

/// Reads a PPM or PGM file; see parse_ppm.
[[nodiscard]] inline Image read_ppm(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  const auto bytes = file.bytes();
  return parse_ppm({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, path.string());
}

}  // namespace lora::images
