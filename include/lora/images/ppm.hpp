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
  constexpr std::string_view white = " \t\n\v\f\r";
  std::size_t at = 2;
  // Between numbers there is white space, and in that comments up to the end of a line.
  const auto skip_space = [&] {
    const std::size_t begin = at;
    while (at < bytes.size()) {
      if (bytes[at] == '#')
        at = std::min(bytes.find_first_of("\r\n", at), bytes.size());
      else if (white.find(bytes[at]) != std::string_view::npos)
        ++at;
      else
        break;
    }
    if (at == begin) fail("is no PPM or PGM image: its header lacks white space");
  };
  const auto number = [&](const char* what, Index most) {
    skip_space();
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
  if (at < bytes.size() && white.find(bytes[at]) == std::string_view::npos)
    fail("is no PPM or PGM image: its header lacks white space");
  at = std::min(at + 1, bytes.size());
  const auto expected = static_cast<std::size_t>(height * width * channels);
  if (bytes.size() - at != expected)
    fail(message("has ", bytes.size() - at, " bytes of pixels, expected ", expected));
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
