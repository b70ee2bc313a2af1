#include <lora/models/resnet/resnet_files.hpp>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string>

#include <lora/io/safetensors/safetensors_reader.hpp>

#include "models/resnet/golden_resnet.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

namespace {

std::string text_of(const std::filesystem::path& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

Matrix<float> logits_of(const std::filesystem::path& directory, const ImageBatch<float>& batch) {
  const ResNetClassifier<float> model(directory);
  Matrix<float> logits;
  model.forward(batch, logits);
  return logits;
}

}  // namespace

TEST_CASE("a model is saved whole, with its adapter merged, and loads to the same logits") {
  const TemporaryDirectory directory;
  for (const std::string name : {"basic", "bottleneck", "v1", "first_stage", "norms"}) {
    CAPTURE(name);
    const GoldenResNet golden(name);
    auto model = adapted_resnet(name);
    model.save_model(directory / name);
    CHECK(largest_difference(logits_of(directory / name, golden.batch),
                             golden.reader.read<float>("adapted_logits")) < 1e-4);
    CHECK(text_of(directory / name / "config.json") == text_of(resnet_data(name) / "config.json"));
    // What transformers saved, tensor by tensor.
    const io::SafetensorsReader written(directory / name / "model.safetensors");
    const io::SafetensorsReader original(resnet_data(name) / "model.safetensors");
    CHECK(written.tensors().size() == original.tensors().size());
    for (const auto& [key, tensor] : original.tensors()) {
      CAPTURE(key);
      REQUIRE(written.contains(key));
      CHECK(written.tensor(key).shape == tensor.shape);
      CHECK(written.tensor(key).dtype == tensor.dtype);
    }
  }
}

TEST_CASE("a model whose adapter is off is saved as its base") {
  const TemporaryDirectory directory;
  auto model = adapted_resnet("v1");
  model.set_adapters_enabled(false);
  model.save_model(directory / "off");
  const io::SafetensorsReader written(directory / "off" / "model.safetensors");
  const io::SafetensorsReader original(resnet_data("v1") / "model.safetensors");
  for (const auto& [key, tensor] : original.tensors())
    CHECK(std::ranges::equal(written.tensor(key).bytes, tensor.bytes));
  model.set_adapters_enabled(true);
  model.merge_adapters();
  model.save_model(directory / "merged");
  const GoldenResNet golden("v1");
  CHECK(largest_difference(logits_of(directory / "merged", golden.batch),
                           golden.reader.read<float>("adapted_logits")) < 1e-4);
}

TEST_CASE("a model with a head for other classes says so in its config.json") {
  const TemporaryDirectory directory;
  ResNetClassifier<float> model(resnet_data("basic"), {.labels = 7});
  model.save_model(directory / "seven");
  CHECK(read_resnet_config(directory / "seven").num_labels == 7);
  const GoldenResNet golden("basic");
  Matrix<float> logits;
  model.forward(golden.batch, logits);
  CHECK(largest_difference(logits_of(directory / "seven", golden.batch), logits) < 1e-5);
}

TEST_CASE("a new ResNet starts as torchvision's does") {
  const TemporaryDirectory directory;
  ResNetConfig config = cifar_resnet_config(20, 5, ResNetNaming::torchvision);
  write_new_resnet(directory / "new", config, 3);
  const ResNetConfig read = read_resnet_config(directory / "new");
  CHECK(read.stem == ResNetStem::cifar);
  CHECK(read.naming == ResNetNaming::torchvision);
  CHECK(read.depths == config.depths);
  CHECK(read.num_labels == 5);
  const io::SafetensorsReader file(directory / "new" / "model.safetensors");
  const Matrix<float> weight = file.read<float>("layer3.0.conv2.weight", 64, 64 * 9);
  const double deviation = std::sqrt(weight.cast<double>().squaredNorm() / (64 * 64 * 9));
  CHECK(deviation == Approx(std::sqrt(2.0 / (64 * 9))).epsilon(0.02));
  CHECK(std::abs(weight.cast<double>().mean()) < 0.001);
  CHECK((file.read<float>("layer3.0.bn2.running_var", 1, 64).array() == 1).all());
  CHECK(file.read<float>("fc.weight", 5, 64).cwiseAbs().maxCoeff() <= 1.0F / 8);
  // Another seed is another network, and no two layers are alike.
  CHECK(!same_bits(weight, file.read<float>("layer3.1.conv1.weight", 64, 64 * 9)));
  write_new_resnet(directory / "other", config, 4);
  const io::SafetensorsReader other(directory / "other" / "model.safetensors");
  CHECK(!same_bits(weight, other.read<float>("layer3.0.conv2.weight", 64, 64 * 9)));
  config.depths.clear();
  check_throws<ConfigError>([&] { write_new_resnet(directory / "none", config, 4); },
                            "write_new_resnet: there are 0 depths");
}
