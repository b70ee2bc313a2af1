#pragma once

#include <png.h>

#include <array>
#include <csetjmp>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <lora/core/error.hpp>
#include <lora/images/image.hpp>
#include <span>
#include <string>
#include <vector>

#include "read_file.hpp"

namespace photos {
namespace detail {

// What libpng's callbacks know. An error of libpng's jumps to `jump`, over none of our objects that
// have a destructor: those are made outside of the functions that set it.
struct PngJob {
  std::span<const std::uint8_t> bytes;
  std::size_t at = 0;
  std::array<char, 200> fault{};
  png_structp png = nullptr;
  png_infop info = nullptr;
  png_uint_32 height = 0, width = 0;
};

inline void png_fail(png_structp png, png_const_charp text) {
  auto* const job = static_cast<PngJob*>(png_get_error_ptr(png));
  std::strncpy(job->fault.data(), text, job->fault.size() - 1);
  std::longjmp(*png_set_longjmp_fn(png, std::longjmp, sizeof(std::jmp_buf)), 1);
}

inline void png_take(png_structp png, png_bytep out, png_size_t count) {
  auto* const job = static_cast<PngJob*>(png_get_io_ptr(png));
  if (count > job->bytes.size() - job->at) png_error(png, "the file ends early");
  std::memcpy(out, job->bytes.data() + job->at, count);
  job->at += count;
}

// Reads the header and asks for 8-bit red, green and blue. Returns whether that went well.
inline bool png_begin(PngJob& job) {
  if (setjmp(*png_set_longjmp_fn(job.png, std::longjmp, sizeof(std::jmp_buf))) != 0) return false;
  png_set_read_fn(job.png, &job, png_take);
  png_set_user_limits(job.png, 1 << 20, 1 << 20);
  png_set_chunk_malloc_max(job.png, 8 << 20);
  png_read_info(job.png, job.info);
  job.height = png_get_image_height(job.png, job.info);
  job.width = png_get_image_width(job.png, job.info);
  // Deflate makes at most 1,032 bytes of one, of at most 8 pixels each.
  const std::uint64_t pixels = std::uint64_t{job.height} * job.width;
  if (pixels > pixel_limit || pixels > 8 * 1032 * std::uint64_t{job.bytes.size()})
    png_error(job.png, "it claims more pixels than it can have");
  png_set_expand(job.png);  // palettes, and less than 8 bits
  png_set_strip_16(job.png);
  png_set_gray_to_rgb(job.png);
  png_set_strip_alpha(job.png);
  png_set_interlace_handling(job.png);
  png_read_update_info(job.png, job.info);
  if (png_get_rowbytes(job.png, job.info) != std::size_t{job.width} * 3)
    png_error(job.png, "its pixels cannot be made red, green and blue");
  return true;
}

// Reads the pixels to `rows`. Returns whether that went well.
inline bool png_pixels(PngJob& job, png_bytepp rows) {
  if (setjmp(*png_set_longjmp_fn(job.png, std::longjmp, sizeof(std::jmp_buf))) != 0) return false;
  png_read_image(job.png, rows);
  png_read_end(job.png, nullptr);
  return true;
}

inline void png_ignore(png_structp, png_const_charp) {}

}  // namespace detail

/// Tells whether a file begins as a PNG does.
[[nodiscard]] inline bool is_png(std::span<const std::uint8_t> bytes) {
  return bytes.size() >= 8 && png_sig_cmp(bytes.data(), 0, 8) == 0;
}

/// Decodes a PNG into red, green and blue; transparency is dropped, as Pillow's convert("RGB")
/// does. Throws lora::FileError, beginning with `where`, for a file that libpng refuses, a
/// truncated one too, and for more pixels than pixel_limit or than the file can hold, before room
/// is made for them.
[[nodiscard]] inline lora::images::Image decode_png(std::span<const std::uint8_t> bytes,
                                                    const std::string& where) {
  detail::PngJob job{.bytes = bytes};
  job.png =
      png_create_read_struct(PNG_LIBPNG_VER_STRING, &job, detail::png_fail, detail::png_ignore);
  if (job.png != nullptr) job.info = png_create_info_struct(job.png);
  struct Guard {
    detail::PngJob& job;
    ~Guard() { png_destroy_read_struct(&job.png, &job.info, nullptr); }
  } const guard{job};
  const auto fail = [&] { throw lora::FileError(where + ": as a PNG: " + job.fault.data()); };
  if (job.info == nullptr) throw lora::FileError(where + ": libpng cannot be started");
  if (!detail::png_begin(job)) fail();
  lora::images::Image image{std::vector<std::uint8_t>(std::size_t{job.height} * job.width * 3),
                            static_cast<lora::Index>(job.height),
                            static_cast<lora::Index>(job.width), 3};
  std::vector<png_bytep> rows(job.height);
  for (std::size_t y = 0; y < rows.size(); ++y) rows[y] = image.bytes.data() + y * job.width * 3;
  if (!detail::png_pixels(job, rows.data())) fail();
  return image;
}

}  // namespace photos
