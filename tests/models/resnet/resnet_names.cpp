#include <lora/models/resnet/resnet_names.hpp>

#include <string>
#include <vector>

#include "support/catch.hpp"

using namespace lora::models;

TEST_CASE("a ResNet's modules have two sets of names") {
  const ResNetNames hf(ResNetNaming::hugging_face), tv(ResNetNaming::torchvision);
  CHECK(hf.stem().norm == "resnet.embedder.embedder.normalization");
  CHECK(hf.convolution(hf.block(1, 2), 0).conv ==
        "resnet.encoder.stages.1.layers.2.layer.0.convolution");
  CHECK(hf.shortcut(hf.block(0, 0)).conv ==
        "resnet.encoder.stages.0.layers.0.shortcut.convolution");
  CHECK(tv.convolution(tv.block(1, 2), 0).norm == "layer2.2.bn1");
  CHECK(tv.shortcut(tv.block(0, 0)).norm == "layer1.0.downsample.1");
  CHECK(hf.head() == "classifier.1");
  CHECK(tv.head_module() == "fc");
  CHECK(hf.norms(ResNetBlockType::basic) == std::vector<std::string>{"normalization"});
  CHECK(tv.norms(ResNetBlockType::basic).size() == 3);
  CHECK(tv.norms(ResNetBlockType::bottleneck).back() == "bn3");
  CHECK(tv.convolutions().back() == "downsample.0");
}
