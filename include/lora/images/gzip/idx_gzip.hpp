#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lora/images/gzip/gzip_reader.hpp"
#include "lora/images/idx.hpp"
#include "lora/images/labelled_images.hpp"
#include "lora/io/mapped_file.hpp"

namespace lora::images {

namespace detail {

/// An IDX file that is decompressed as far as it is wanted: its header at once.
template <std::size_t Dimensions>
class IdxGzip {
 public:
  IdxGzip(std::span<const std::uint8_t> bytes, const std::string& where)
      : reader_(bytes, where),
        where_(where),
        header_(
            parse_idx_header<Dimensions>(reader_.read_up_to(IdxHeader<Dimensions>::size), where)) {}

  [[nodiscard]] const IdxHeader<Dimensions>& header() const { return header_; }

  /// Returns the data: as many as the header says, and one more is looked for.
  [[nodiscard]] std::vector<std::uint8_t> data() {
    std::vector<std::uint8_t> found = reader_.read_up_to(header_.elements);
    require_elements(found.size(), header_, where_);
    if (reader_.has_more())
      throw FileError(message(where_, ": has more bytes of data than the ", header_.elements,
                              " of its header"));
    return found;
  }

 private:
  GzipReader reader_;
  std::string where_;
  IdxHeader<Dimensions> header_;
};

}  // namespace detail

/// Reads grey images and their labels from the bytes of two IDX files that gzip compressed, as
/// MNIST and Fashion-MNIST are distributed. No more is decompressed than their headers say, and one
/// byte. Throws FileError, beginning with the name of the file that is at fault, for what
/// parse_idx_images and GzipReader refuse.
[[nodiscard]] inline LabelledImages parse_idx_gzip_images(std::span<const std::uint8_t> images,
                                                          const std::string& images_name,
                                                          std::span<const std::uint8_t> labels,
                                                          const std::string& labels_name) {
  detail::IdxGzip<3> pixels(images, images_name);
  detail::IdxGzip<1> classes(labels, labels_name);
  // Before the data, so that two files that do not belong together cost nothing.
  detail::require_pair(pixels.header(), images_name, classes.header(), labels_name);
  std::vector<std::uint8_t> bytes = pixels.data();
  const auto& extents = pixels.header().extents;
  const std::vector<std::uint8_t> found = classes.data();
  return {extents[1], extents[2], 1, std::move(bytes), {found.begin(), found.end()}};
}

/// Reads two IDX files that gzip compressed; see parse_idx_gzip_images.
[[nodiscard]] inline LabelledImages read_idx_gzip_images(const std::filesystem::path& images,
                                                         const std::filesystem::path& labels) {
  const io::MappedFile pixels(images), classes(labels);
  return parse_idx_gzip_images(detail::as_bytes(pixels), images.string(), detail::as_bytes(classes),
                               labels.string());
}

}  // namespace lora::images
