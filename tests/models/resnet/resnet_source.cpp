#include <lora/models/resnet/resnet_source.hpp>

#include "models/resnet/golden_resnet.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a ResNet's source is its config, its files and its plan") {
  const models::ResNetSource<float> source(resnet_data("v1"), {.labels = 5});
  CHECK(source.config.num_labels == 5);
  CHECK(source.config.downsample_in_bottleneck);
  CHECK(source.plan["classifier.1"].role == models::ModuleRole::trained);
  CHECK(source.outline.blocks.size() == 3);
  // There is no config.json to say more.
  check_throws<FileError>([] { models::ResNetSource<float>(resnet_data("torchvision"), {}); },
                          "config.json");
}
