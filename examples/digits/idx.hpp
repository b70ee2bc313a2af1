#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <lora/io/mapped_file.hpp>
#include <span>
#include <string>
#include <utility>

#include "data.hpp"

namespace digits {

/// Reads a file of bytes in MNIST's IDX format: two zero bytes, the element type (8: bytes), the
/// number of dimensions, each dimension's size as 32 bits, the most significant byte first, then
/// the elements (LeCun, Cortes and Burges).
///
/// A file is not to be trusted: what it says of its sizes must be what it holds, to the byte.
template <std::size_t Dimensions>
class IdxFile {
 public:
  /// Maps the file. Throws lora::FileError, naming the file and what is wrong in it.
  explicit IdxFile(const std::filesystem::path& path) : file_(require_plain(path)) {
    const std::span<const std::byte> bytes = file_.bytes();
    if (bytes.size() >= 2 && bytes[0] == std::byte{0x1F} && bytes[1] == std::byte{0x8B})
      fail("is compressed by gzip: gunzip it first");
    const std::size_t header = 4 + 4 * Dimensions;
    if (bytes.size() < header)
      fail(lora::message("has ", bytes.size(), " bytes, expected a header of ", header));
    const std::uint32_t magic = word(0), expected = 0x800 + Dimensions;
    if (magic != expected)
      fail(lora::message("begins with ", magic, ", expected ", expected, " (bytes in ", Dimensions,
                         Dimensions == 1 ? " dimension)" : " dimensions)"));
    // By division, for the product of sizes that lie may not fit any integer.
    std::uint64_t room = bytes.size() - header;
    for (std::size_t i = 0; i < Dimensions; ++i) {
      sizes_[i] = word(4 + 4 * i);
      if (sizes_[i] == 0) fail(lora::message("size ", i, " is 0, expected at least 1"));
      if (room % sizes_[i] != 0) fail_size(bytes.size() - header);
      room /= sizes_[i];
    }
    if (room != 1) fail_size(bytes.size() - header);
    elements_ = bytes.subspan(header);
  }

  [[nodiscard]] Index size(std::size_t dimension) const {
    return static_cast<Index>(sizes_.at(dimension));
  }

  /// Views the elements, the last dimension's side by side.
  [[nodiscard]] std::span<const std::byte> elements() const { return elements_; }

  /// Throws lora::FileError "<path>: <what>".
  [[noreturn]] void fail(const std::string& what) const {
    throw lora::FileError(file_.path().string() + ": " + what);
  }

 private:
  static const std::filesystem::path& require_plain(const std::filesystem::path& path) {
    const std::filesystem::path packed = path.string() + ".gz";
    if (!std::filesystem::exists(path) && std::filesystem::exists(packed))
      throw lora::FileError(packed.string() + ": is compressed by gzip: gunzip it first");
    return path;
  }

  [[nodiscard]] std::uint32_t word(std::size_t at) const {
    std::uint32_t value = 0;
    for (const std::byte byte : file_.bytes().subspan(at, 4))
      value = value << 8 | std::to_integer<std::uint32_t>(byte);
    return value;
  }

  [[noreturn]] void fail_size(std::size_t bytes) const {
    std::string sizes;
    for (std::size_t i = 0; i < Dimensions; ++i)
      sizes += (i == 0 ? "" : " x ") + std::to_string(word(4 + 4 * i));
    fail(lora::message("says that it holds ", sizes, " bytes, but ", bytes, " follow the header"));
  }

  lora::io::MappedFile file_;
  std::array<std::uint32_t, Dimensions> sizes_{};
  std::span<const std::byte> elements_;
};

/// Reads images and their labels. Throws lora::FileError for files that are not what they should
/// be, that do not belong together, or that have a label above 9.
[[nodiscard]] inline Samples read_idx(const std::filesystem::path& image_path,
                                      const std::filesystem::path& label_path) {
  const IdxFile<3> images(image_path);
  const IdxFile<1> labels(label_path);
  if (images.size(0) != labels.size(0))
    labels.fail(lora::message("has ", labels.size(0), " labels, expected one for each of the ",
                              images.size(0), " images of ", image_path.string()));
  const Index pixels = images.size(1) * images.size(2);
  Samples all{lora::Matrix<float>(images.size(0), pixels), {}};
  for (std::size_t i = 0; i < images.elements().size(); ++i)
    all.images.data()[i] = static_cast<float>(std::to_integer<int>(images.elements()[i])) / 255;
  for (const std::byte label : labels.elements()) {
    all.labels.push_back(std::to_integer<int>(label));
    if (all.labels.back() > 9)
      labels.fail(lora::message("label ", all.labels.size() - 1, " is ", all.labels.back(),
                                ", expected a digit"));
  }
  return all;
}

/// Reads MNIST's four files from `directory`: of the 60,000 training images every sixth, by a
/// shuffle of `seed`, becomes one to validate by. Throws lora::FileError.
[[nodiscard]] inline Split read_mnist(const std::filesystem::path& directory, std::uint64_t seed) {
  const Samples train =
      read_idx(directory / "train-images-idx3-ubyte", directory / "train-labels-idx1-ubyte");
  Samples test =
      read_idx(directory / "t10k-images-idx3-ubyte", directory / "t10k-labels-idx1-ubyte");
  if (train.images.cols() != test.images.cols())
    throw lora::FileError(lora::message(directory.string(), ": the training images have ",
                                        train.images.cols(), " pixels, the test images ",
                                        test.images.cols()));
  const std::vector<Index> order = lora::shuffled(train.size(), seed, 0);
  const Index kept = train.size() - train.size() / 6;
  return {pick(train, order, 0, kept), pick(train, order, kept, train.size()), std::move(test)};
}

}  // namespace digits
