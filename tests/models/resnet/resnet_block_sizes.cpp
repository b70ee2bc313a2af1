#include <lora/models/resnet/resnet_block_sizes.hpp>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::models;

TEST_CASE("the stride of a bottleneck is in its 3 x 3, of v1 in its first 1 x 1") {
  ResNetConfig config = resnet_config(50, 10);
  const ResNetBlockSizes first(config, 0, 0), halving(config, 1, 0), other(config, 1, 1);
  REQUIRE(first.shortcut.has_value());
  CHECK(first.shortcut->window == Window{});
  CHECK(halving.convolutions[0].window == Window{});
  CHECK(halving.convolutions[1].window == Window::square(3, 2, 1));
  CHECK(halving.convolutions[2].out == 512);
  CHECK(halving.shortcut->window == Window::square(1, 2));
  CHECK(!other.shortcut.has_value());
  config.downsample_in_bottleneck = true;
  CHECK(ResNetBlockSizes(config, 1, 0).convolutions[0].window == Window::square(1, 2));
  CHECK(ResNetBlockSizes(config, 1, 0).convolutions[1].window == Window::square(3, 1, 1));
  // In a ResNeXt it has groups.
  const ResNetBlockSizes grouped(resnext_config(50, 32, 4, 10), 1, 0);
  CHECK(grouped.convolutions[1].groups == 32);
  CHECK(grouped.convolutions[1].in == 256);
  CHECK(grouped.convolutions[2].groups == 1);
  // Basic blocks of the first stage change nothing.
  CHECK(!ResNetBlockSizes(resnet_config(18, 10), 0, 0).shortcut.has_value());
}
