#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <lora/images/labelled_images.hpp>
#include <lora/images/ppm.hpp>
#include <lora/images/preprocessing.hpp>
#include <lora/random/shuffle.hpp>
#include <string>
#include <system_error>
#include <vector>

#include "read_file.hpp"

#if LORA_HAS_PNG
#include "png.hpp"
#endif
#if LORA_HAS_JPEG
#include "jpeg.hpp"
#endif

namespace photos {

using lora::Index;

/// Decodes a photograph into red, green and blue: PNG, JPEG, PPM or PGM, known by its first bytes.
/// Throws lora::FileError, naming the file, for another kind and for what the decoders refuse.
[[nodiscard]] inline lora::images::Image read_photo(const std::filesystem::path& path) {
  const lora::io::MappedFile file(path);
  const auto bytes = bytes_of(file);
  const std::string where = path.string();
#if LORA_HAS_PNG
  if (is_png(bytes)) return decode_png(bytes, where);
#endif
#if LORA_HAS_JPEG
  if (is_jpeg(bytes)) return decode_jpeg(bytes, where);
#endif
  if (bytes.size() < 2 || bytes[0] != 'P')
    throw lora::FileError(where + ": is no image that this program reads, expected" +
                          (LORA_HAS_PNG ? " PNG," : "") + (LORA_HAS_JPEG ? " JPEG," : "") +
                          " PPM or PGM");
  lora::images::Image image =
      lora::images::parse_ppm({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, where);
  if (image.channels == 3) return image;
  std::vector<std::uint8_t> all;
  all.reserve(3 * image.bytes.size());
  for (const std::uint8_t grey : image.bytes) all.insert(all.end(), 3, grey);
  return {std::move(all), image.height, image.width, 3};
}

/// Photographs with a class each, by file.
struct PhotoFiles {
  std::vector<std::string> classes;
  std::vector<std::vector<std::filesystem::path>> files;  ///< [class], in the order of their names
};

/// Lists FOLDER/class/photograph. Files and folders whose names begin with a dot are passed over.
/// Throws lora::FileError for a folder that is not there, fewer than two classes, and a class
/// without photographs, which it names.
[[nodiscard]] inline PhotoFiles list_photos(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  const auto sorted = [](const fs::path& path, bool folders) {
    std::vector<fs::path> found;
    std::error_code error;
    for (fs::directory_iterator each(path, error), end; !error && each != end;
         each.increment(error))
      if (each->path().filename().string().front() != '.' && each->is_directory() == folders)
        found.push_back(each->path());
    if (error) throw lora::FileError(path.string() + ": cannot be listed: " + error.message());
    std::sort(found.begin(), found.end());
    return found;
  };
  PhotoFiles photos;
  for (const fs::path& path : sorted(folder, true)) {
    photos.classes.push_back(path.filename().string());
    photos.files.push_back(sorted(path, false));
    if (photos.files.back().empty())
      throw lora::FileError(path.string() + ": a class without photographs");
  }
  if (photos.classes.size() < 2)
    throw lora::FileError(lora::message(folder.string(), ": has ", photos.classes.size(),
                                        " folders of photographs, expected one for each of at "
                                        "least two classes"));
  return photos;
}

/// Reads photographs and fits them to what the model wants: those of each class from `first` on, at
/// most `count`. `is_read` is called after each. Throws lora::FileError.
[[nodiscard]] inline lora::images::LabelledImages read_photos(
    const PhotoFiles& photos, std::size_t first, std::size_t count,
    const lora::images::Preprocessing& how, const std::function<void()>& is_read) {
  lora::images::LabelledImages all{how.height, how.width, 3, {}, {}};
  for (std::size_t label = 0; label < photos.files.size(); ++label) {
    const auto& files = photos.files[label];
    for (std::size_t i = first; i < std::min(files.size(), first + count); ++i) {
      const lora::images::Image fitting = lora::images::fit(read_photo(files[i]).view(), how);
      all.bytes.insert(all.bytes.end(), fitting.bytes.begin(), fitting.bytes.end());
      all.labels.push_back(static_cast<int>(label));
      is_read();
    }
  }
  return all;
}

}  // namespace photos
