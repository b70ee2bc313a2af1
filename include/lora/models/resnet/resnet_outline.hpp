#pragma once

#include <cstddef>
#include <string>

#include "lora/models/common/model_outline.hpp"
#include "lora/models/resnet/resnet_block_sizes.hpp"
#include "lora/models/resnet/resnet_config.hpp"
#include "lora/models/resnet/resnet_names.hpp"

namespace lora::models {

namespace detail {

/// Lists a ResNet's modules in the order of named_modules().
class ResNetOutliner {
 public:
  explicit ResNetOutliner(const ResNetConfig& config) : config_(config), names_(config.naming) {}

  [[nodiscard]] ModelOutline outline() {
    const bool hf = config_.naming == ResNetNaming::hugging_face;
    outline_ = {.model_type = "resnet", .head = names_.head_module()};
    add("");
    if (hf) add_hugging_face_stem();
    if (!hf) {
      add("conv1", Kind::conv2d);
      for (const char* part : {"bn1", "relu", "maxpool"}) add(part);
    }
    for (std::size_t stage = 0; stage < config_.depths.size(); ++stage) {
      const std::string first = names_.block(stage, 0);
      if (hf) add(first.substr(0, first.size() - std::string(".layers.0").size()));
      add(first.substr(0, first.size() - 2));
      for (Index block = 0; block < config_.depths[stage]; ++block) add_block(stage, block);
    }
    add(hf ? "resnet.pooler" : "avgpool");
    if (hf) {
      add("classifier");
      add("classifier.0");
    }
    add(names_.head(), Kind::linear);
    return std::move(outline_);
  }

 private:
  using Kind = peft::ModuleKind;

  void add(const std::string& name, Kind kind = Kind::no_layer) {
    outline_.modules.push_back({name, kind});
  }

  void add(const ConvNormNames& names) {
    add(names.conv, Kind::conv2d);
    add(names.norm);
  }

  void add_hugging_face_stem() {
    add("resnet");
    add("resnet.embedder");
    add("resnet.embedder.embedder");
    add(names_.stem());
    add("resnet.embedder.embedder.activation");
    if (config_.stem == ResNetStem::imagenet) add("resnet.embedder.pooler");
    add("resnet.encoder");
    add("resnet.encoder.stages");
  }

  void add_block(std::size_t stage, Index number) {
    const ResNetBlockSizes sizes(config_, stage, number);
    const std::string block = names_.block(stage, number);
    const bool hf = config_.naming == ResNetNaming::hugging_face;
    outline_.blocks.push_back(block);
    add(block);
    const auto add_shortcut = [&] {
      if (hf || sizes.shortcut) add(block + (hf ? ".shortcut" : ".downsample"));
      if (sizes.shortcut) add(names_.shortcut(block));
    };
    if (hf) {
      add_shortcut();
      add(block + ".layer");
    }
    for (std::size_t j = 0; j < sizes.convolutions.size(); ++j) {
      if (hf) add(message(block, ".layer.", j));
      add(names_.convolution(block, static_cast<Index>(j)));
      if (hf) add(message(block, ".layer.", j, ".activation"));
    }
    add(block + (hf ? ".activation" : ".relu"));
    if (!hf) add_shortcut();
  }

  const ResNetConfig& config_;
  ResNetNames names_;
  ModelOutline outline_;
};

}  // namespace detail

/// Outlines a ResNet with its head.
[[nodiscard]] inline ModelOutline resnet_outline(const ResNetConfig& config) {
  return detail::ResNetOutliner(config).outline();
}

}  // namespace lora::models
