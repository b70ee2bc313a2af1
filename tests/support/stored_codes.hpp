#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <lora/io/safetensors/safetensors_reader.hpp>
#include <lora/io/safetensors/safetensors_writer.hpp>

#include "support/temporary_directory.hpp"

namespace lora::test {

/// The tensors of a golden model's file, of which a test changes some: what a damaged or a strange
/// file has.
class StoredCodes {
 public:
  /// Reads those of tests/golden/quantised_model/`name`.
  explicit StoredCodes(const std::string& name) {
    const io::SafetensorsReader file(std::filesystem::path(LORA_GOLDEN_DIR) / "quantised_model" /
                                     name / "model.safetensors");
    for (const auto& [key, view] : file.tensors())
      tensors_.push_back({key, view.dtype, view.shape, {view.bytes.begin(), view.bytes.end()}});
  }

  /// Returns the tensor of that name, which is there.
  [[nodiscard]] io::Tensor& operator[](const std::string& name) {
    return *std::find_if(tensors_.begin(), tensors_.end(),
                         [&](const io::Tensor& tensor) { return tensor.name == name; });
  }

  /// Adds a copy of `tensor` under another name.
  void add(io::Tensor tensor, const std::string& name) {
    tensor.name = name;
    tensors_.push_back(std::move(tensor));
  }

  /// Takes a tensor away.
  void erase(const std::string& name) {
    std::erase_if(tensors_, [&](const io::Tensor& tensor) { return tensor.name == name; });
  }

  /// Puts `bytes` in a tensor, as so many elements.
  void set(const std::string& name, const void* bytes, std::size_t size) {
    const auto* first = static_cast<const std::byte*>(bytes);
    io::Tensor& tensor = (*this)[name];
    tensor.bytes.assign(first, first + size);
    tensor.shape = {static_cast<Index>(size * 8 / io::bits_of(tensor.dtype))};
  }

  /// Writes model.safetensors and returns its directory.
  const std::filesystem::path& write() {
    io::write_safetensors(directory_ / "model.safetensors", tensors_);
    return directory_.path();
  }

 private:
  TemporaryDirectory directory_;
  std::vector<io::Tensor> tensors_;
};

}  // namespace lora::test
