#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ios>
#include <lora/core/error.hpp>
#include <lora/train/fingerprint.hpp>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace examples {

/// Returns a fingerprint of a base model, a folder in Hugging Face's layout or one file, by which a
/// run that goes on knows it again wherever it lies: of config.json and of each file of weights the
/// name, the size, and the bytes, of large files 1,024 pieces of 4 KiB, which differ between any
/// two trainings. Throws lora::FileError.
[[nodiscard]] inline std::string base_fingerprint(const std::filesystem::path& base) {
  constexpr std::uintmax_t piece = 4096, pieces = 1024;
  std::error_code error;
  const bool folder = !std::filesystem::is_regular_file(base, error);
  std::vector<std::filesystem::path> files{folder ? base / "config.json" : base};
  if (folder)
    for (const auto& entry : std::filesystem::directory_iterator(base, error))
      if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  std::sort(files.begin() + 1, files.end());
  lora::train::Fingerprint all;
  std::string bytes(piece, '\0');
  for (const auto& path : files) {
    const std::uintmax_t size = std::filesystem::file_size(path, error);
    std::ifstream file(path, std::ios::binary);
    if (error || !file) throw lora::FileError(path.string() + ": cannot open");
    all.add(path.filename().string()).add(size);
    const std::uintmax_t step = std::max(piece, (size + pieces - 1) / pieces);
    for (std::uintmax_t at = 0; at < size; at += step) {
      const auto count = static_cast<std::size_t>(std::min(piece, size - at));
      file.seekg(static_cast<std::streamoff>(at));
      if (!file.read(bytes.data(), static_cast<std::streamsize>(count)))
        throw lora::FileError(path.string() + ": cannot read");
      all.add(std::string_view(bytes).substr(0, count));
    }
  }
  return all.text();
}

}  // namespace examples
