#pragma once

#include <cstdint>
#include <filesystem>
#include <lora/io.hpp>
#include <lora/lora.hpp>
#include <utility>
#include <vector>

#include "base.hpp"
#include "network.hpp"

namespace digits {

/// Lists the adapted layers of a network, to be saved or loaded together.
template <class T, class Weight>
[[nodiscard]] std::vector<lora::AdaptedLayerRef<T>> adapters(LoRANetwork<T, Weight>& network) {
  return {network.fc1, network.fc2};
}

/// Writes whatever was trained into `folder`; returns the bytes of the files. Throws
/// lora::FileError.
template <class Hidden>
std::uintmax_t save(const std::filesystem::path& folder, Network<Hidden>& network) {
  std::filesystem::create_directories(folder);
  std::vector<lora::io::Tensor> tensors;
  for (const auto* parameter : network.parameters()) {
    const lora::FixedMatrix<float>& value = parameter->value;
    const bool is_bias = parameter->name.ends_with(".bias");  // a vector in PyTorch
    const auto shape =
        is_bias ? lora::io::Shape{value.cols()} : lora::io::Shape{value.rows(), value.cols()};
    tensors.push_back(lora::io::make_tensor(parameter->name, value, shape));
  }
  const std::filesystem::path file = folder / "model.safetensors";
  lora::io::write_safetensors(file, std::move(tensors));
  return std::filesystem::file_size(file);
}

/// Does the same for adapters and the head that goes with them, as PEFT does.
template <class T, class Weight>
std::uintmax_t save(const std::filesystem::path& folder, LoRANetwork<T, Weight>& network) {
  const auto head = network.head.parameters();
  lora::peft::save_adapter<T>(folder, adapters(network), {.parameters = head});
  return std::filesystem::file_size(folder / lora::peft::adapter_config_file) +
         std::filesystem::file_size(folder / lora::peft::adapter_weights_file);
}

/// Reads adapters and head back into a network, whatever rank it had. Throws lora::FileError, and
/// then nothing has changed.
template <class T, class Weight>
void load(const std::filesystem::path& folder, LoRANetwork<T, Weight>& network) {
  const auto head = network.head.parameters();
  lora::peft::load_adapter<T>(folder, adapters(network), {.parameters = head});
}

}  // namespace digits
