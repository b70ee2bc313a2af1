#pragma once

#include <cstdint>
#include <filesystem>
#include <lora/io.hpp>
#include <lora/models.hpp>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "method.hpp"

namespace sentiment {

using Model = lora::models::BertForSequenceClassification<float>;

/// Writes what was trained into `folder`: as PEFT does for LoRA, otherwise as one safetensors
/// file. Returns the bytes. Throws lora::FileError.
inline std::uintmax_t save(Model& model, const Method& method,
                           const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  if (method.family == Family::lora) {
    model.save_adapter(folder);
    return std::filesystem::file_size(folder / lora::peft::adapter_config_file) +
           std::filesystem::file_size(folder / lora::peft::adapter_weights_file);
  }
  std::vector<lora::io::Tensor> tensors;
  for (const auto* parameter : model.parameters())
    tensors.push_back(lora::io::make_tensor(parameter->name, parameter->value));
  const auto file = folder / "trained.safetensors";
  lora::io::write_safetensors(file, std::move(tensors));
  return std::filesystem::file_size(file);
}

/// Brings back what save wrote. Throws lora::FileError.
inline void load(Model& model, const Method& method, const std::filesystem::path& folder) {
  if (method.family == Family::lora) return model.load_adapter(folder);
  const lora::io::SafetensorsReader file(folder / "trained.safetensors");
  std::map<std::string, lora::Matrix<float>> values;
  const auto parameters = model.parameters();
  for (const auto* parameter : parameters)
    values[parameter->name] = file.read<float>(parameter->name);
  lora::io::set_values<float>(parameters, values);
}

}  // namespace sentiment
