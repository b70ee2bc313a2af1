// Reads any bytes as a gzip file: no more comes than was asked for, and in pieces the same as at
// once. From the second byte on the file; the first is the size of the pieces.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <vector>

#include <lora/images/gzip/gzip_reader.hpp>

namespace {

using namespace lora;
using namespace lora::images;

void require(bool holds) {
  if (!holds) std::abort();
}

constexpr std::size_t limit = 100'000;

std::optional<std::vector<std::uint8_t>> in_pieces(std::span<const std::uint8_t> bytes,
                                                   std::size_t size) {
  std::vector<std::uint8_t> all, piece(size);
  try {
    GzipReader reader(bytes, "fuzz");
    while (all.size() <= limit) {
      const std::size_t count = reader.read(piece);
      all.insert(all.end(), piece.begin(), piece.begin() + static_cast<std::ptrdiff_t>(count));
      if (count < size) return all;
    }
  } catch (const FileError&) {
    // What a file deserves that is not one.
  }
  return std::nullopt;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const std::span bytes(data + 1, size - 1);
  const auto pieces = in_pieces(bytes, std::max<std::size_t>(1, data[0]));
  try {
    const std::vector<std::uint8_t> all = gunzip(bytes, limit, "fuzz");
    require(all.size() <= limit && all == pieces);
  } catch (const FileError&) {
    require(!pieces || pieces->size() > limit);
  }
  return 0;
}
