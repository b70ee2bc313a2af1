#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "lora/models/common/module_conv_norm.hpp"
#include "lora/models/resnet/resnet_config.hpp"

namespace lora::models {

/// The names of a ResNet's modules.
class ResNetNames {
 public:
  explicit ResNetNames(ResNetNaming naming) : hf_(naming == ResNetNaming::hugging_face) {}

  [[nodiscard]] ConvNormNames stem() const {
    if (!hf_) return {"conv1", "bn1"};
    return of_pair("resnet.embedder.embedder");
  }

  /// Returns the path of block `block` of stage `stage`, both counted from 0.
  [[nodiscard]] std::string block(std::size_t stage, Index block) const {
    return hf_ ? message("resnet.encoder.stages.", stage, ".layers.", block)
               : message("layer", stage + 1, ".", block);
  }

  /// Returns convolution `number`, counted from 0, of the block of that path.
  [[nodiscard]] ConvNormNames convolution(const std::string& block, Index number) const {
    if (hf_) return of_pair(message(block, ".layer.", number));
    return {message(block, ".conv", number + 1), message(block, ".bn", number + 1)};
  }

  [[nodiscard]] ConvNormNames shortcut(const std::string& block) const {
    if (hf_) return of_pair(block + ".shortcut");
    return {block + ".downsample.0", block + ".downsample.1"};
  }

  /// Returns the ends of the paths of all convolutions, for target_modules.
  [[nodiscard]] std::vector<std::string> convolutions() const {
    if (hf_) return {"convolution"};
    return {"conv1", "conv2", "conv3", "downsample.0"};
  }

  /// Returns the ends of the paths of all batch norms, for modules_to_save and ModulesOnly: bn3
  /// among them only where blocks are bottlenecks.
  [[nodiscard]] std::vector<std::string> norms(ResNetBlockType type) const {
    if (hf_) return {"normalization"};
    std::vector<std::string> names{"bn1", "bn2", "downsample.1"};
    if (type == ResNetBlockType::bottleneck) names.emplace_back("bn3");
    return names;
  }

  /// Returns the linear module that makes the logits.
  [[nodiscard]] std::string head() const { return hf_ ? "classifier.1" : "fc"; }

  /// Returns the module that a new head is: the linear one, or what it stands in.
  [[nodiscard]] std::string head_module() const { return hf_ ? "classifier" : "fc"; }

 private:
  static ConvNormNames of_pair(const std::string& pair) {
    return {pair + ".convolution", pair + ".normalization"};
  }

  bool hf_;
};

}  // namespace lora::models
