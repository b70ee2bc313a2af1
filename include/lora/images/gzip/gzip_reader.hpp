#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <zlib.h>

#include "lora/core/error.hpp"

namespace lora::images {

/// A stream of what gzip (RFC 1952) compressed, over bytes that it does not own: one member or
/// several behind each other, whose checksums and lengths are compared. No memory is taken for what
/// has not been decompressed.
class GzipReader {
 public:
  /// Reads from `bytes`; errors begin with `where`. Throws FileError unless they begin as gzip's
  /// do.
  GzipReader(std::span<const std::uint8_t> bytes, std::string where)
      : rest_(bytes), size_(bytes.size()), where_(std::move(where)), stream_(new z_stream{}) {
    if (!begins_member(rest_))
      fail(message("is no gzip file: it has ", size_, " bytes, which do not begin with 1F 8B"));
    // 15: windows of any size; 16: gzip's header and checksum rather than zlib's.
    if (inflateInit2(stream_.get(), 15 + 16) != Z_OK) throw std::bad_alloc();
  }

  /// Writes the next bytes to `out` and returns their number, which is smaller than out's only at
  /// the end, where all checksums have been compared. Throws FileError for data that are damaged,
  /// cut off, or followed by something else.
  std::size_t read(std::span<std::uint8_t> out) {
    std::size_t done = 0;
    while (done < out.size() && !ended_) done += read_some(out.subspan(done));
    return done;
  }

  /// Tells whether there is one more byte, which it takes. Throws as read.
  [[nodiscard]] bool has_more() {
    std::uint8_t more = 0;
    return read({&more, 1}) != 0;
  }

  /// Returns the next bytes, `limit` of them or all that are left, in memory that grows as they
  /// come. Throws as read.
  [[nodiscard]] std::vector<std::uint8_t> read_up_to(std::uint64_t limit) {
    constexpr std::size_t first = std::size_t{1} << 16;
    std::vector<std::uint8_t> out;
    for (std::size_t done = 0; done < limit && !ended_; out.resize(done)) {
      const auto piece =
          static_cast<std::size_t>(std::min<std::uint64_t>(limit - done, std::max(done, first)));
      out.resize(done + piece);
      done += read(std::span(out).subspan(done));
    }
    return out;
  }

 private:
  struct End {
    void operator()(z_stream* stream) const {
      inflateEnd(stream);
      delete stream;
    }
  };

  static bool begins_member(std::span<const std::uint8_t> bytes) {
    return bytes.size() >= 2 && bytes[0] == 0x1F && bytes[1] == 0x8B;
  }

  [[noreturn]] void fail(const std::string& what) const { throw FileError(where_ + ": " + what); }

  std::size_t read_some(std::span<std::uint8_t> out) {
    // zlib counts in 32 bits.
    constexpr std::size_t most = std::size_t{1} << 30;
    const std::size_t given = std::min(rest_.size(), most), room = std::min(out.size(), most);
    z_stream& stream = *stream_;
    // zlib does not write there; its interface is older than const.
    stream.next_in = const_cast<Bytef*>(rest_.data());
    stream.avail_in = static_cast<uInt>(given);
    stream.next_out = out.data();
    stream.avail_out = static_cast<uInt>(room);
    const int status = inflate(&stream, Z_NO_FLUSH);
    rest_ = rest_.subspan(given - stream.avail_in);
    const bool starved = rest_.empty() && stream.avail_out > 0;
    if (status == Z_STREAM_END)
      end_member();
    else if (status == Z_MEM_ERROR)
      throw std::bad_alloc();
    else if (status == Z_BUF_ERROR || (status == Z_OK && starved))
      fail(message("is cut off: its ", size_, " bytes end within gzip's data"));
    else if (status != Z_OK)
      fail(message("has damaged gzip data before byte ", size_ - rest_.size(), " of ", size_, ": ",
                   stream.msg == nullptr ? "no reason known" : stream.msg));
    return room - stream.avail_out;
  }

  void end_member() {
    ended_ = rest_.empty();
    if (ended_) return;
    if (!begins_member(rest_))
      fail(message("has ", rest_.size(), " bytes behind its gzip data, which are no gzip data"));
    inflateReset(stream_.get());
  }

  std::span<const std::uint8_t> rest_;  // what has not been read
  std::size_t size_;                    // of all bytes
  std::string where_;
  std::unique_ptr<z_stream, End> stream_;  // zlib keeps its address
  bool ended_ = false;
};

/// Returns what gzip compressed to `bytes`. Throws FileError, beginning with `where`, for what
/// GzipReader refuses, and for more than `limit` bytes, of which one at most is decompressed.
[[nodiscard]] inline std::vector<std::uint8_t> gunzip(std::span<const std::uint8_t> bytes,
                                                      std::uint64_t limit,
                                                      const std::string& where) {
  GzipReader reader(bytes, where);
  std::vector<std::uint8_t> all = reader.read_up_to(limit);
  if (reader.has_more())
    throw FileError(message(where, ": holds more than ", limit, " bytes, the limit"));
  return all;
}

}  // namespace lora::images
