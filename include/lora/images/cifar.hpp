#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "lora/images/idx.hpp"
#include "lora/images/labelled_images.hpp"
#include "lora/io/mapped_file.hpp"

namespace lora::images {

/// Which of the binary files a file is.
enum class CifarKind {
  cifar10,         ///< a label, then the pixels
  cifar100_fine,   ///< a label of 20 and one of 100, which is taken, then the pixels
  cifar100_coarse  ///< the same, of which the label of 20 is taken
};

/// Reads the bytes of one of CIFAR's binary files: images of 32 x 32 pixels, which have all reds,
/// then all greens, then all blues there. Throws FileError, beginning with `where`, for bytes that
/// are no whole number of images, and a label that is none.
[[nodiscard]] inline LabelledImages parse_cifar(std::span<const std::uint8_t> bytes, CifarKind kind,
                                                const std::string& where) {
  constexpr std::size_t side = 32, plane = side * side;
  const std::size_t head = kind == CifarKind::cifar10 ? 1 : 2, record = head + 3 * plane;
  const int classes = kind == CifarKind::cifar10 ? 10 : kind == CifarKind::cifar100_fine ? 100 : 20;
  if (bytes.empty() || bytes.size() % record != 0)
    throw FileError(message(where, ": has ", bytes.size(),
                            " bytes, expected a whole number of images of ", record));
  LabelledImages all{side, side, 3, {}, {}};
  all.bytes.reserve(bytes.size() / record * 3 * plane);
  for (std::size_t begin = 0; begin < bytes.size(); begin += record) {
    const int label = bytes[begin + (kind == CifarKind::cifar100_fine ? 1 : 0)];
    if (label >= classes)
      throw FileError(message(where, ": image ", begin / record, " has label ", label,
                              ", expected one below ", classes));
    all.labels.push_back(label);
    for (std::size_t i = 0; i < plane; ++i)
      for (std::size_t c = 0; c < 3; ++c) all.bytes.push_back(bytes[begin + head + c * plane + i]);
  }
  return all;
}

/// Reads one of CIFAR's binary files; see parse_cifar.
[[nodiscard]] inline LabelledImages read_cifar(const std::filesystem::path& path, CifarKind kind) {
  const io::MappedFile file(path);
  return parse_cifar(detail::as_bytes(file), kind, path.string());
}

}  // namespace lora::images
