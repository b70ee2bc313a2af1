#include <lora/models/resnet/resnet_outline.hpp>

#include <string>
#include <vector>

#include <lora/io/json.hpp>

#include "models/resnet/golden_resnet.hpp"
#include "support/catch.hpp"
#include "support/whole_file.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

TEST_CASE("a ResNet's modules are those of named_modules(), in its order") {
  const ModelOutline outline = resnet_outline(read_resnet_config(resnet_data("bottleneck")));
  std::vector<std::string> names;
  for (const auto& module : outline.modules) names.push_back(module.name);
  const io::Json expected = io::parse_json(read_whole(resnet_data("modules.json")), "modules");
  CHECK(names == expected.get<std::vector<std::string>>());
}

TEST_CASE("a ResNet's modules under torchvision's names are torchvision's") {
  const ModelOutline outline = resnet_outline(resnet_config(18, 10, ResNetNaming::torchvision));
  std::vector<std::string> names;
  for (const auto& module : outline.modules) names.push_back(module.name);
  const std::vector<std::string> begin{"",
                                       "conv1",
                                       "bn1",
                                       "relu",
                                       "maxpool",
                                       "layer1",
                                       "layer1.0",
                                       "layer1.0.conv1",
                                       "layer1.0.bn1",
                                       "layer1.0.conv2",
                                       "layer1.0.bn2",
                                       "layer1.0.relu"};
  CHECK(std::vector<std::string>(names.begin(), names.begin() + 12) == begin);
  CHECK(names[names.size() - 1] == "fc");
  CHECK(names[names.size() - 2] == "avgpool");
}
