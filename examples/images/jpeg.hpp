#pragma once

// jpeglib.h uses size_t and FILE, and includes neither.
#include <cstddef>
#include <cstdio>

#include <jerror.h>
#include <jpeglib.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstdint>
#include <lora/core/error.hpp>
#include <lora/images/image.hpp>
#include <span>
#include <string>
#include <vector>

#include "read_file.hpp"

namespace photos {
namespace detail {

// What libjpeg's callbacks know: they find it by its first member. An error jumps to `jump`, over
// none of our objects that have a destructor: those are made outside of the functions that set it.
struct JpegJob {
  jpeg_error_mgr errors{};
  std::jmp_buf jump{};
  jpeg_decompress_struct jpeg{};
  jpeg_progress_mgr progress{};
  std::array<char, JMSG_LENGTH_MAX> fault{};
};

[[noreturn]] inline void jpeg_fail(j_common_ptr jpeg) {
  auto* const job = reinterpret_cast<JpegJob*>(jpeg->err);
  jpeg->err->format_message(jpeg, job->fault.data());
  std::longjmp(job->jump, 1);
}

// Level -1 is a warning: of data that are damaged or missing, which libjpeg would make up, and of
// a few things that every reader passes over. Other levels are traces.
inline void jpeg_note(j_common_ptr jpeg, int level) {
  const int code = jpeg->err->msg_code;
  if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_ADOBE_XFORM) jpeg_fail(jpeg);
}

// A progressive file of a few bytes may have scans without end, each over all pixels.
inline void jpeg_watch(j_common_ptr jpeg) {
  constexpr int scans = 500;
  if (reinterpret_cast<jpeg_decompress_struct*>(jpeg)->input_scan_number <= scans) return;
  auto* const job = reinterpret_cast<JpegJob*>(jpeg->err);
  std::snprintf(job->fault.data(), job->fault.size(), "it has more than %d scans", scans);
  std::longjmp(job->jump, 1);
}

inline void jpeg_silent(j_common_ptr) {}

// Reads the header and asks for red, green and blue, or all four inks. Returns whether that went
// well.
inline bool jpeg_begin(JpegJob& job, std::span<const std::uint8_t> bytes) {
  if (setjmp(job.jump) != 0) return false;
  jpeg_create_decompress(&job.jpeg);
  job.progress.progress_monitor = jpeg_watch;
  job.jpeg.progress = &job.progress;
  jpeg_mem_src(&job.jpeg, bytes.data(), static_cast<unsigned long>(bytes.size()));
  jpeg_read_header(&job.jpeg, TRUE);
  // Four inks cannot be asked for as red, green and blue.
  const bool inks = job.jpeg.jpeg_color_space == JCS_CMYK || job.jpeg.jpeg_color_space == JCS_YCCK;
  job.jpeg.out_color_space = inks ? JCS_CMYK : JCS_RGB;
  jpeg_calc_output_dimensions(&job.jpeg);
  return true;
}

inline bool jpeg_start(JpegJob& job) {
  if (setjmp(job.jump) != 0) return false;
  jpeg_start_decompress(&job.jpeg);
  return true;
}

// Reads the next row. Returns whether that went well.
inline bool jpeg_row(JpegJob& job, std::uint8_t* row) {
  if (setjmp(job.jump) != 0) return false;
  JSAMPROW rows[1] = {row};
  jpeg_read_scanlines(&job.jpeg, rows, 1);
  return true;
}

inline bool jpeg_end(JpegJob& job) {
  if (setjmp(job.jump) != 0) return false;
  jpeg_finish_decompress(&job.jpeg);
  return true;
}

}  // namespace detail

/// Tells whether a file begins as a JPEG does.
[[nodiscard]] inline bool is_jpeg(std::span<const std::uint8_t> bytes) {
  return bytes.size() >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF;
}

/// Decodes a JPEG into red, green and blue: grey and the four inks of print (inverted, as Adobe's
/// programs store them) are converted as Pillow's convert("RGB") does; a rotation that Exif asks
/// for is not done. Throws lora::FileError, beginning with `where`, for what libjpeg refuses or
/// warns of, such as a truncated file, and for more pixels than pixel_limit or than the file can
/// hold, before room is made for them.
[[nodiscard]] inline lora::images::Image decode_jpeg(std::span<const std::uint8_t> bytes,
                                                     const std::string& where) {
  detail::JpegJob job;
  job.jpeg.err = jpeg_std_error(&job.errors);
  job.errors.error_exit = detail::jpeg_fail;
  job.errors.emit_message = detail::jpeg_note;
  job.errors.output_message = detail::jpeg_silent;
  struct Guard {
    detail::JpegJob& job;
    ~Guard() { jpeg_destroy_decompress(&job.jpeg); }
  } const guard{job};
  const auto fail = [&] { throw lora::FileError(where + ": as a JPEG: " + job.fault.data()); };
  if (!detail::jpeg_begin(job, bytes)) fail();
  const std::uint64_t height = job.jpeg.output_height, width = job.jpeg.output_width;
  // One bit for each of six blocks, of 16 x 16 pixels, is the least that a file may have.
  const std::uint64_t most = std::min<std::uint64_t>(pixel_limit, 1024 * bytes.size());
  if (height * width > most)
    throw lora::FileError(lora::message(where, ": as a JPEG: it claims ", height, " x ", width,
                                        " pixels, expected at most ", most));
  if (!detail::jpeg_start(job)) fail();
  const bool inks = job.jpeg.out_color_space == JCS_CMYK;
  lora::images::Image image{std::vector<std::uint8_t>(height * width * 3),
                            static_cast<lora::Index>(height), static_cast<lora::Index>(width), 3};
  std::vector<std::uint8_t> row(inks ? width * 4 : 0);
  for (std::uint64_t y = 0; y < height; ++y) {
    std::uint8_t* const to = image.bytes.data() + y * width * 3;
    if (!detail::jpeg_row(job, inks ? row.data() : to)) fail();
    for (std::uint64_t x = 0; inks && x < width; ++x)
      for (std::uint64_t c = 0; c < 3; ++c) {
        const int white = row[4 * x + 3], ink = 255 - row[4 * x + c], product = ink * white + 128;
        to[3 * x + c] = static_cast<std::uint8_t>(white - ((product + (product >> 8)) >> 8));
      }
  }
  if (!detail::jpeg_end(job)) fail();
  return image;
}

}  // namespace photos
