#include <lora/models/resnet/resnet_options.hpp>

#include <string>

#include "models/resnet/golden_resnet.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("options that do not fit a ResNet are refused") {
  const auto refused = [](const models::ResNetOptions& options, const std::string& part) {
    check_throws<ConfigError>(
        [&] { const models::ResNetClassifier<float> model(resnet_data("basic"), options); }, part);
  };
  refused({.labels = 0}, "num_labels is 0");
  refused({.tuning = models::LastLayers{4}}, "count is 4");
  refused({.tuning = models::BottleneckAdapters{2}}, "BottleneckAdapters are not built");
  refused({.tuning = peft::PeftConfig{}}, "target_modules");
  peft::PeftConfig huge;
  huge.r = 5000;
  huge.target_modules = std::vector<std::string>{"convolution"};
  refused({.tuning = huge}, "the rank of \"resnet.embedder.embedder.convolution\" is 5000");
}
