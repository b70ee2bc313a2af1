#pragma once

#include <array>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/matrix.hpp"

namespace lora::models {

/// The block that a ResNet repeats.
enum class ResNetBlockType {
  basic,       ///< two 3 x 3 convolutions: ResNet-18 and 34, and CIFAR's
  bottleneck,  ///< 1 x 1, 3 x 3, 1 x 1 to four times the width: ResNet-50, 101 and 152
};

/// What stands before a ResNet's blocks.
enum class ResNetStem {
  imagenet,  ///< 7 x 7 of stride 2, and a max pooling of 3 x 3 of stride 2
  cifar,     ///< 3 x 3 of stride 1, for images of some dozens of pixels
};

/// The names that a ResNet's modules have, in its files and in those of its adapters.
enum class ResNetNaming {
  hugging_face,  ///< transformers' ResNetForImageClassification
  torchvision,   ///< torchvision's and timm's
};

/// The settings of a ResNet (He et al., "Deep residual learning for image recognition", 2016). The
/// words are those of a Hugging Face config.json, the defaults ResNetConfig's of transformers 5.24:
/// a ResNet-50, v1.5.
struct ResNetConfig {
  Index num_channels = 3;
  Index embedding_size = 64;                                 ///< channels of the stem
  std::vector<Index> hidden_sizes = {256, 512, 1024, 2048};  ///< channels that each stage ends in
  std::vector<Index> depths = {3, 4, 6, 3};                  ///< blocks of each stage
  ResNetBlockType layer_type = ResNetBlockType::bottleneck;
  bool downsample_in_first_stage = false;
  bool downsample_in_bottleneck = false;  ///< v1: the first 1 x 1 has the stride, not the 3 x 3
  Index groups = 1;                       ///< of a bottleneck's 3 x 3: ResNeXt's
  Index width_per_group = 64;  ///< torchvision's: the inner width over that of 64 is W / 64
  Index num_labels = 2;
  ResNetStem stem = ResNetStem::imagenet;
  ResNetNaming naming = ResNetNaming::hugging_face;
  double initializer_range = 0.02;  ///< standard deviation of a new head's weights

  /// Returns the width inside of a block that ends in `out` channels.
  [[nodiscard]] Index inner_size(Index out) const {
    if (layer_type == ResNetBlockType::basic) return out;
    return out / 4 * width_per_group / 64 * groups;
  }
};

/// Returns the settings of ResNet-18, 34, 50, 101 or 152 for `labels` classes. Throws ConfigError
/// for another depth.
[[nodiscard]] inline ResNetConfig resnet_config(Index depth, Index labels,
                                                ResNetNaming naming = ResNetNaming::hugging_face) {
  struct Known {
    Index depth;
    std::array<Index, 4> depths;
  };
  for (const auto& [known, depths] : {Known{18, {2, 2, 2, 2}},
                                      {34, {3, 4, 6, 3}},
                                      {50, {3, 4, 6, 3}},
                                      {101, {3, 4, 23, 3}},
                                      {152, {3, 8, 36, 3}}}) {
    if (known != depth) continue;
    ResNetConfig config{.num_labels = labels, .naming = naming};
    config.depths.assign(depths.begin(), depths.end());
    if (depth >= 50) return config;
    config.hidden_sizes = {64, 128, 256, 512};
    config.layer_type = ResNetBlockType::basic;
    return config;
  }
  throw ConfigError(
      message("resnet_config: depth is ", depth, ", expected 18, 34, 50, 101 or 152"));
}

/// Returns the settings of a ResNeXt (Xie et al., "Aggregated residual transformations", 2017) of
/// this depth, 50, 101 or 152, with torchvision's names: resnext_config(50, 32, 4, 1000) is
/// resnext50_32x4d, and with one group of 128 it is wide_resnet50_2. Throws ConfigError for another
/// depth.
[[nodiscard]] inline ResNetConfig resnext_config(Index depth, Index groups, Index width_per_group,
                                                 Index labels) {
  if (depth < 50)
    throw ConfigError(message("resnext_config: depth is ", depth, ", expected 50, 101 or 152"));
  ResNetConfig config = resnet_config(depth, labels, ResNetNaming::torchvision);
  config.groups = groups;
  config.width_per_group = width_per_group;
  return config;
}

/// Returns the settings of a ResNet for CIFAR's images of 32 x 32 pixels: depth 20, 32, 44, 56, 110
/// or another 6 n + 2, three stages of 16, 32 and 64 channels, with 1 x 1 convolutions where the
/// width changes (option B). Throws ConfigError for another depth.
[[nodiscard]] inline ResNetConfig cifar_resnet_config(
    Index depth, Index labels, ResNetNaming naming = ResNetNaming::hugging_face) {
  if (depth < 8 || depth > 6002 || (depth - 2) % 6 != 0)
    throw ConfigError(message("cifar_resnet_config: depth is ", depth,
                              ", expected 6 n + 2: 20, 32, 44, 56, 110"));
  const Index n = (depth - 2) / 6;
  return {.embedding_size = 16,
          .hidden_sizes = {16, 32, 64},
          .depths = {n, n, n},
          .layer_type = ResNetBlockType::basic,
          .num_labels = labels,
          .stem = ResNetStem::cifar,
          .naming = naming};
}

/// Throws ConfigError, naming `where`, for sizes that no ResNet has.
inline void validate(const ResNetConfig& config, std::string_view where) {
  const auto at_least_one = [&](const char* name, Index size) {
    if (size < 1)
      throw ConfigError(message(where, ": ", name, " is ", size, ", expected at least 1"));
  };
  at_least_one("num_channels", config.num_channels);
  at_least_one("embedding_size", config.embedding_size);
  at_least_one("num_labels", config.num_labels);
  at_least_one("groups", config.groups);
  at_least_one("width_per_group", config.width_per_group);
  if (config.layer_type == ResNetBlockType::basic &&
      (config.groups != 1 || config.width_per_group != 64))
    throw ConfigError(message(where, ": groups is ", config.groups, " and width_per_group ",
                              config.width_per_group,
                              ", expected 1 and 64: only bottlenecks have others"));
  if (config.depths.empty() || config.depths.size() != config.hidden_sizes.size())
    throw ConfigError(message(where, ": there are ", config.depths.size(), " depths and ",
                              config.hidden_sizes.size(),
                              " hidden_sizes, expected one of each for every stage"));
  for (const Index depth : config.depths) at_least_one("a depth", depth);
  for (const Index size : config.hidden_sizes) {
    at_least_one("a hidden size", size);
    at_least_one(config.groups == 1 ? "a quarter of a hidden size" : "the inner width of a block",
                 config.inner_size(size));
  }
}

/// Reads the JSON text of a config.json: transformers' of model_type "resnet", timm's, whose
/// architecture says the depth, or resnet_config_text's. Throws FileError, beginning with `where`,
/// for text that is not JSON, a value out of range, and what is not built here, which it names:
/// another hidden_act, timm's variants of the stem.
[[nodiscard]] ResNetConfig parse_resnet_config(std::string_view text, const std::string& where);

/// Returns the text of the config.json of such a model: transformers', or, for what transformers
/// cannot load (the stem for CIFAR, other names, groups), one of model_type "lora-resnet", which
/// parse_resnet_config reads too.
[[nodiscard]] std::string resnet_config_text(const ResNetConfig& config);

/// Returns the text of a config.json, transformers' or timm's, with another number of labels, whose
/// names go. Throws FileError, beginning with `where`, for text that is not JSON.
[[nodiscard]] std::string with_labels(std::string_view text, Index labels,
                                      const std::string& where);

/// Reads directory/config.json. Throws FileError; see parse_resnet_config.
[[nodiscard]] ResNetConfig read_resnet_config(const std::filesystem::path& directory);

}  // namespace lora::models

#include "lora/models/resnet/resnet_config_parser.hpp"
