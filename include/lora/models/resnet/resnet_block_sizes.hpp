#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "lora/models/common/module_conv_norm.hpp"
#include "lora/models/resnet/resnet_config.hpp"

namespace lora::models {

/// Returns the sizes of a ResNet's first convolution.
[[nodiscard]] inline ConvNormSizes stem_sizes(const ResNetConfig& config) {
  const bool small = config.stem == ResNetStem::cifar;
  return {config.embedding_size, config.num_channels,
          small ? Window::square(3, 1, 1) : Window::square(7, 2, 3)};
}

/// The sizes of the convolutions of a ResNet's block, and of its shortcut's, where the block
/// changes the channels or the size of an image.
struct ResNetBlockSizes {
  /// Returns those of block `block` of stage `stage`, both counted from 0.
  ResNetBlockSizes(const ResNetConfig& config, std::size_t stage, Index block) {
    const Index out = config.hidden_sizes[stage], inner = config.inner_size(out);
    Index in = out;
    if (block == 0) in = stage == 0 ? config.embedding_size : config.hidden_sizes[stage - 1];
    const bool halves = block == 0 && (stage > 0 || config.downsample_in_first_stage);
    const Index stride = halves ? 2 : 1;
    if (config.layer_type == ResNetBlockType::basic) {
      convolutions = {{out, in, Window::square(3, stride, 1)}, {out, out, Window::square(3, 1, 1)}};
    } else {
      const bool early = config.downsample_in_bottleneck;
      convolutions = {{inner, in, Window::square(1, early ? stride : 1)},
                      {inner, inner, Window::square(3, early ? 1 : stride, 1), config.groups},
                      {out, inner, Window{}}};
    }
    if (in != out || stride != 1) shortcut = ConvNormSizes{out, in, Window::square(1, stride)};
  }

  std::vector<ConvNormSizes> convolutions;  // two or three
  std::optional<ConvNormSizes> shortcut;
};

}  // namespace lora::models
