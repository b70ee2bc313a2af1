#pragma once

#include <filesystem>
#include <string>

#include <lora/io/safetensors/safetensors_reader.hpp>
#include <lora/models/common/image_batch.hpp>
#include <lora/models/resnet/resnet_classifier.hpp>
#include <lora/peft/peft_config_file.hpp>

namespace lora::test {

inline std::filesystem::path resnet_data(const std::string& name) {
  return std::filesystem::path(LORA_GOLDEN_DIR) / "resnet" / name;
}

/// What transformers and PEFT computed with a ResNet for two images.
struct GoldenResNet {
  explicit GoldenResNet(const std::string& name)
      : reader(resnet_data(name) / "expected.safetensors"),
        batch{{2, 37, 34}, reader.read<float>("pixels")} {}

  io::SafetensorsReader reader;
  models::ImageBatch<float> batch;
};

template <class T = float, class Frozen = PackedWeight<T>>
models::ResNetClassifier<T, Frozen> adapted_resnet(const std::string& name) {
  const auto folder = resnet_data(name) / "adapter";
  models::ResNetClassifier<T, Frozen> model(resnet_data(name),
                                            {.tuning = peft::read_peft_config(folder)});
  model.load_adapter(folder);
  return model;
}

}  // namespace lora::test
