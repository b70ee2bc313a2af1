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

/// The header of an IDX file of `Dimensions` dimensions.
template <std::size_t Dimensions>
struct IdxHeader {
  static constexpr std::size_t size = 4 + 4 * Dimensions;  // in bytes
  std::array<Index, Dimensions> extents{};
  std::uint64_t elements = 1;  // 2^62 where there are more
};

template <std::size_t Dimensions>
IdxHeader<Dimensions> parse_idx_header(std::span<const std::uint8_t> bytes,
                                       const std::string& where) {
  const auto fail = [&](const std::string& what) { throw FileError(where + ": " + what); };
  if (bytes.size() > 2 && bytes[0] == 0x1F && bytes[1] == 0x8B)
    fail(
        "is compressed by gzip: give the file that gunzip makes of it, or call "
        "read_idx_gzip_images");
  IdxHeader<Dimensions> header;
  if (bytes.size() < header.size || bytes[0] != 0 || bytes[1] != 0) fail("is no IDX file");
  if (bytes[2] != 8)
    fail("has elements of type " + std::to_string(bytes[2]) + ", expected bytes (8)");
  if (bytes[3] != Dimensions)
    fail(message("has ", int(bytes[3]), " dimensions, expected ", Dimensions));
  for (std::size_t d = 0; d < Dimensions; ++d) {
    std::uint32_t extent = 0;
    for (std::size_t i = 0; i < 4; ++i) extent = extent << 8 | bytes[4 + 4 * d + i];
    header.extents[d] = static_cast<Index>(extent);
    // No file has as many, so that the product stays in range.
    constexpr std::uint64_t most = std::uint64_t{1} << 62;
    if (extent != 0 && header.elements > most / extent)
      header.elements = most;
    else
      header.elements *= extent;
  }
  return header;
}

template <std::size_t Dimensions>
void require_elements(std::size_t found, const IdxHeader<Dimensions>& header,
                      const std::string& where) {
  if (found != header.elements)
    throw FileError(message(where, ": has ", found, " bytes of data, expected ", header.elements,
                            " by its header"));
}

template <std::size_t Dimensions>
std::span<const std::uint8_t> idx_data(std::span<const std::uint8_t> bytes,
                                       const IdxHeader<Dimensions>& header,
                                       const std::string& where) {
  require_elements(bytes.size() - header.size, header, where);
  return bytes.subspan(header.size);
}

/// Throws FileError unless the headers are those of images and of one label for each.
inline void require_pair(const IdxHeader<3>& images, const std::string& images_name,
                         const IdxHeader<1>& labels, const std::string& labels_name) {
  if (labels.extents[0] != images.extents[0])
    throw FileError(message(labels_name, ": has ", labels.extents[0],
                            " labels, expected one for each of ", images.extents[0], " images"));
  const auto fits = [](Index extent) { return extent >= 1 && extent <= size_limit; };
  if (!fits(images.extents[1]) || !fits(images.extents[2]))
    throw FileError(message(images_name, ": has images of ", images.extents[1], " x ",
                            images.extents[2], " pixels, expected 1 to ", size_limit, " each"));
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
  const auto pixels = detail::parse_idx_header<3>(images, images_name);
  const auto bytes = detail::idx_data(images, pixels, images_name);
  const auto classes = detail::parse_idx_header<1>(labels, labels_name);
  const auto found = detail::idx_data(labels, classes, labels_name);
  detail::require_pair(pixels, images_name, classes, labels_name);
  return {pixels.extents[1],
          pixels.extents[2],
          1,
          {bytes.begin(), bytes.end()},
          {found.begin(), found.end()}};
}

/// Reads two IDX files; see parse_idx_images.
[[nodiscard]] inline LabelledImages read_idx_images(const std::filesystem::path& images,
                                                    const std::filesystem::path& labels) {
  const io::MappedFile pixels(images), classes(labels);
  return parse_idx_images(detail::as_bytes(pixels), images.string(), detail::as_bytes(classes),
                          labels.string());
}

}  // namespace lora::images
