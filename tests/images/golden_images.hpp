#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include <lora/images/image.hpp>
#include <lora/io/safetensors/safetensors_reader.hpp>

namespace lora::test {

/// The tensors that tests/golden/make_golden_images.py wrote.
inline io::SafetensorsReader golden_images(const std::string& file) {
  return io::SafetensorsReader(std::filesystem::path(LORA_GOLDEN_DIR) / "images" / file);
}

/// Returns the image of that name, (height, width, channels) there.
inline images::Image golden_image(const io::SafetensorsReader& reader, const std::string& name) {
  const io::TensorView& tensor = reader.tensor(name);
  images::Image image{{}, tensor.shape[0], tensor.shape[1], tensor.shape[2]};
  for (const std::byte byte : tensor.bytes)
    image.bytes.push_back(std::to_integer<std::uint8_t>(byte));
  return image;
}

}  // namespace lora::test
