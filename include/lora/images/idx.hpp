#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "lora/images/labelled_images.hpp"
#include "lora/io/mapped_file.hpp"

namespace lora::images {

namespace detail {

/// The bytes of an IDX file of `Dimensions` dimensions, and their extents.
template <std::size_t Dimensions>
struct IdxBytes {
  std::array<Index, Dimensions> extents{};
  std::span<const std::uint8_t> data;
};

template <std::size_t Dimensions>
IdxBytes<Dimensions> parse_idx(std::span<const std::uint8_t> bytes, const std::string& where) {
  const auto fail = [&](const std::string& what) { throw FileError(where + ": " + what); };
  if (bytes.size() > 2 && bytes[0] == 0x1F && bytes[1] == 0x8B)
    fail("is compressed by gzip: give the file that gunzip makes of it");
  constexpr std::size_t header = 4 + 4 * Dimensions;
  if (bytes.size() < header || bytes[0] != 0 || bytes[1] != 0) fail("is no IDX file");
  if (bytes[2] != 8)
    fail("has elements of type " + std::to_string(bytes[2]) + ", expected bytes (8)");
  if (bytes[3] != Dimensions)
    fail(message("has ", int(bytes[3]), " dimensions, expected ", Dimensions));
  IdxBytes<Dimensions> found;
  std::uint64_t expected = 1;
  for (std::size_t d = 0; d < Dimensions; ++d) {
    std::uint32_t extent = 0;
    for (std::size_t i = 0; i < 4; ++i) extent = extent << 8 | bytes[4 + 4 * d + i];
    found.extents[d] = static_cast<Index>(extent);
    // No file has as many, so that the product stays in range.
    if (extent != 0 && expected > bytes.size() / extent && d > 0)
      expected = bytes.size() + 1;
    else
      expected *= extent;
  }
  found.data = bytes.subspan(header);
  if (found.data.size() != expected)
    fail(message("has ", found.data.size(), " bytes of data, expected ", expected,
                 " by its header"));
  return found;
}

inline std::span<const std::uint8_t> as_bytes(const io::MappedFile& file) {
  return {reinterpret_cast<const std::uint8_t*>(file.bytes().data()), file.bytes().size()};
}

}  // namespace detail

/// Reads grey images and their labels from the bytes of two IDX files, as MNIST and Fashion-MNIST
/// come in (not compressed). Throws FileError, beginning with the name of the file that is at
/// fault, for another type or number of dimensions, data that are missing or too many, and labels
/// for another number of images.
[[nodiscard]] inline LabelledImages parse_idx_images(std::span<const std::uint8_t> images,
                                                     const std::string& images_name,
                                                     std::span<const std::uint8_t> labels,
                                                     const std::string& labels_name) {
  const auto pixels = detail::parse_idx<3>(images, images_name);
  const auto classes = detail::parse_idx<1>(labels, labels_name);
  if (classes.extents[0] != pixels.extents[0])
    throw FileError(message(labels_name, ": has ", classes.extents[0],
                            " labels, expected one for each of ", pixels.extents[0], " images"));
  if (pixels.extents[1] < 1 || pixels.extents[2] < 1)
    throw FileError(message(images_name, ": has images of ", pixels.extents[1], " x ",
                            pixels.extents[2], " pixels"));
  return {pixels.extents[1],
          pixels.extents[2],
          1,
          {pixels.data.begin(), pixels.data.end()},
          {classes.data.begin(), classes.data.end()}};
}

/// Reads two IDX files; see parse_idx_images.
[[nodiscard]] inline LabelledImages read_idx_images(const std::filesystem::path& images,
                                                    const std::filesystem::path& labels) {
  const io::MappedFile pixels(images), classes(labels);
  return parse_idx_images(detail::as_bytes(pixels), images.string(), detail::as_bytes(classes),
                          labels.string());
}

}  // namespace lora::images
