#include <lora/models/resnet/resnet_classifier.hpp>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include <lora/frozen/half_weight.hpp>
#include <lora/io/safetensors/safetensors_writer.hpp>
#include <lora/nn/cross_entropy.hpp>

#include "contracts/model.hpp"
#include "models/resnet/golden_resnet.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

namespace {

const std::vector<std::string> resnet_cases{"basic",       "bottleneck", "v1",
                                            "first_stage", "norms",      "grouped"};

template <class Model>
Matrix<float> resnet_logits(const Model& model, const ImageBatch<float>& batch) {
  Matrix<float> logits;
  model.forward(batch, logits);
  return logits;
}

}  // namespace

TEST_CASE("logits of every kind of ResNet are transformers'") {
  for (const std::string& name : resnet_cases) {
    CAPTURE(name);
    const GoldenResNet golden(name);
    const ResNetClassifier<float> model(resnet_data(name));
    CHECK(largest_difference(resnet_logits(model, golden.batch),
                             golden.reader.read<float>("logits")) < 1e-4);
  }
}

TEST_CASE("a ResNet under torchvision's names is the same") {
  ResNetConfig config = read_resnet_config(resnet_data("bottleneck"));
  config.naming = ResNetNaming::torchvision;
  const GoldenResNet golden("bottleneck");
  const ResNetClassifier<float> model(resnet_data("torchvision"), {.config = config});
  CHECK(largest_difference(resnet_logits(model, golden.batch),
                           golden.reader.read<float>("logits")) < 1e-4);
}

TEST_CASE("logits, loss and gradients of adapted ResNets are PEFT's") {
  for (const std::string& name : resnet_cases) {
    CAPTURE(name);
    const GoldenResNet golden(name);
    auto model = adapted_resnet(name);
    ImageTape<float> tape;
    Matrix<float> logits, dlogits;
    model.forward(golden.batch, tape, logits);
    CHECK(largest_difference(logits, golden.reader.read<float>("adapted_logits")) < 1e-4);
    CHECK(largest_difference(resnet_logits(model, golden.batch), logits) < 1e-5);
    const double loss = cross_entropy<float>(logits, std::vector<int>{0, 2}, dlogits);
    CHECK(loss == Approx(golden.reader.read<float>("loss")(0, 0)).epsilon(1e-5));
    model.backward(dlogits, tape);
    CHECK(tape.empty());
    REQUIRE(!model.parameters().empty());
    for (const Parameter<float>* parameter : model.parameters()) {
      CAPTURE(parameter->name);
      const Matrix<float> expected = golden.reader.read<float>(
          "grad." + parameter->name, parameter->grad.rows(), parameter->grad.cols());
      CHECK(relative_error(parameter->grad.cast<double>(), expected.cast<double>()) < 1e-3);
    }
  }
}

TEST_CASE("an adapter of a ResNet is saved with PEFT's tensors") {
  for (const std::string& name : resnet_cases) {
    CAPTURE(name);
    auto model = adapted_resnet(name);
    const TemporaryDirectory directory;
    model.save_adapter(directory.path());
    const io::SafetensorsReader ours(directory / "adapter_model.safetensors");
    const io::SafetensorsReader theirs(resnet_data(name) / "adapter" / "adapter_model.safetensors");
    CHECK(ours.tensors().size() == theirs.tensors().size());
    for (const auto& [key, tensor] : ours.tensors()) {
      CAPTURE(key);
      REQUIRE(theirs.contains(key));
      CHECK(tensor.shape == theirs.tensor(key).shape);
      // How many batches a norm has seen is not kept.
      if (!key.ends_with("num_batches_tracked"))
        CHECK(std::ranges::equal(tensor.bytes, theirs.tensor(key).bytes));
    }
  }
}

TEST_CASE("a ResNet keeps the contract of a model", "[threads]") {
  const GoldenResNet golden("bottleneck");
  const auto load = [](const peft::PeftConfig& tuning) {
    return ResNetClassifier<float>(resnet_data("bottleneck"), {.tuning = tuning});
  };
  peft::PeftConfig lora;
  lora.r = 3;
  lora.lora_dropout = 0.1;
  lora.target_modules = std::vector<std::string>{"convolution"};
  const ImageBatch<float> other{{1, 33, 40}, random_matrix<float>(33 * 40, 3, 1)};
  ModelContract<ImageTape<float>, decltype(load), ImageBatch<float>>(load, lora,
                                                                     {golden.batch, other})
      .check();
}

TEST_CASE("every tuning of a ResNet has the gradients that a finite difference has") {
  const ImageBatch<double> batch{{2, 33, 33}, random_matrix<double>(2 * 33 * 33, 3, 1)};
  peft::PeftConfig lora;
  lora.r = 2;
  lora.target_modules = std::vector<std::string>{"convolution"};
  lora.modules_to_save = {"classifier", "normalization"};
  for (const Tuning& tuning : std::vector<Tuning>{HeadOnly{}, FullTuning{}, LastLayers{1}, lora}) {
    CAPTURE(tuning.index());
    ResNetClassifier<double> model(resnet_data("bottleneck"), {.tuning = tuning});
    randomise(model);
    const Matrix<double> c = random_matrix<double>(2, 3, 2);
    ImageTape<double> tape;
    Matrix<double> logits;
    model.forward(batch, tape, logits);
    model.backward(c, tape);
    CHECK(tape.empty());
    REQUIRE(!model.parameters().empty());
    for (Parameter<double>* parameter : model.parameters()) {
      CAPTURE(parameter->name);
      // Along the steepest direction: one number for each.
      const Matrix<double> grad = parameter->grad, value = parameter->value;
      const double norm = grad.norm(), h = 1e-6;
      REQUIRE(norm > 0);
      const auto at = [&](double step) {
        parameter->value = value + step / norm * grad;
        model.forward(batch, logits);
        return (logits.array() * c.array()).sum();
      };
      CHECK((at(h) - at(-h)) / (2 * h) == Approx(norm).epsilon(1e-4));
      parameter->value = value;
    }
  }
}

TEST_CASE("a ResNeXt's convolutions in groups take adapters and refuse what they cannot") {
  auto model = adapted_resnet("grouped");
  check_throws<StateError>([&] { model.merge_adapters(); }, "groups = 2");
  model.for_each_adapted([](auto& layer) { CHECK(!layer.merged()); });
  const TemporaryDirectory directory;
  check_throws<StateError>([&] { model.save_model(directory.path()); }, "groups = 2");
  const auto refused = [](const Tuning& tuning, const char* why) {
    check_throws<ConfigError>(
        [&] { ResNetClassifier<float>(resnet_data("grouped"), {.tuning = tuning}); }, why);
  };
  refused(FullTuning{}, "is to train as a whole, and a convolution in 2 groups only takes");
  peft::PeftConfig odd = model.peft_config();
  odd.r = 3;
  refused(odd, "rank is 3, expected a multiple of groups = 2");
}

TEST_CASE("blocks below the first that trains keep nothing") {
  const GoldenResNet golden("bottleneck");
  const auto bytes = [&](const Tuning& tuning) {
    ResNetClassifier<float> model(resnet_data("bottleneck"), {.tuning = tuning});
    ImageTape<float> tape;
    Matrix<float> logits;
    model.forward(golden.batch, tape, logits);
    model.backward(logits, tape);
    return tape.frames.bytes();
  };
  peft::PeftConfig all;
  all.target_modules = std::vector<std::string>{"convolution"};
  CHECK(bytes(HeadOnly{}) * 10 < bytes(LastLayers{1}));
  CHECK(bytes(LastLayers{1}) * 2 < bytes(all));
}

TEST_CASE("a ResNet's base may be in half precision") {
  const GoldenResNet golden("bottleneck");
  const ResNetClassifier<float, HalfWeight<float>> model(resnet_data("bottleneck"));
  const Matrix<float> expected = golden.reader.read<float>("logits");
  const double difference = largest_difference(resnet_logits(model, golden.batch), expected);
  CHECK(difference < 0.05);
  CHECK(difference > 1e-5);
}

TEST_CASE("a head for other classes is drawn anew, where it trains") {
  const ResNetClassifier<float> model(resnet_data("basic"), {.labels = 7});
  const GoldenResNet golden("basic");
  CHECK(resnet_logits(model, golden.batch).cols() == 7);
  peft::PeftConfig frozen_head;
  frozen_head.target_modules = std::vector<std::string>{"convolution"};
  check_throws<FileError>(
      [&] { ResNetClassifier<float>(resnet_data("basic"), {.tuning = frozen_head, .labels = 7}); },
      "tensor \"classifier.1.weight\" is of shape (3, 12), expected (7, 12)");
}

TEST_CASE("batch norms train alone, with a new head though the files have one of its size") {
  const GoldenResNet golden("basic");
  ResNetClassifier<float> model(
      resnet_data("basic"),
      {.tuning = ModulesOnly{ResNetNames(ResNetNaming::hugging_face).norms(ResNetBlockType::basic)},
       .new_head = true});
  for (const Parameter<float>* parameter : model.parameters())
    CHECK((parameter->name.find(".normalization.") != std::string::npos ||
           parameter->name.find("classifier.1.") != std::string::npos));
  CHECK(model.parameters().size() == 2 * 9 + 2);
  CHECK((model.parameters()[19]->value.array() == 0).all());
  CHECK(model.parameters()[18]->value.cwiseAbs().maxCoeff() < 0.1);  // 0.02 times normal numbers
  ImageTape<float> tape;
  Matrix<float> logits;
  model.forward(golden.batch, tape, logits);
  model.backward(logits, tape);
  CHECK(tape.empty());
  peft::PeftConfig frozen_head;
  frozen_head.target_modules = std::vector<std::string>{"convolution"};
  check_throws<ConfigError>(
      [&] {
        ResNetClassifier<float>(resnet_data("basic"), {.tuning = frozen_head, .new_head = true});
      },
      "a new \"classifier.1\" is wanted, and it does not train as a whole");
}

TEST_CASE("what no ResNet can compute or load is refused by name") {
  ResNetClassifier<float> model(resnet_data("basic"));
  ImageTape<float> tape;
  Matrix<float> y;
  const Matrix<float> one = Matrix<float>::Zero(1, 3), two = Matrix<float>::Zero(2, 3);
  const auto forward = [&](ImageShape size, Index rows, Index channels) {
    model.forward(ImageBatch<float>{size, Matrix<float>::Zero(rows, channels)}, tape, y);
  };
  check_throws<ShapeError>(
      [&] {
        forward({1, 4, 4}, 16, 1);
      },
      "ResNetClassifier::forward: pixels is (16, 1), expected (16, 3)");
  check_throws<ShapeError>([&] { forward({2, 4, 4}, 16, 3); }, "expected (32, 3)");
  CHECK_THROWS_AS(model.backward(one, tape), StateError);
  forward({1, 1, 1}, 1, 3);  // padding makes room
  check_throws<ShapeError>([&] { model.backward(two, tape); },
                           "ResNetClassifier::backward: dlogits");

  const TemporaryDirectory directory;
  const auto size_of = [](const io::TensorView& tensor) {
    return static_cast<Index>(tensor.bytes.size() / sizeof(float));
  };
  const auto copy_without = [&](const std::string& left_out) {
    const io::SafetensorsReader reader(resnet_data("basic") / "model.safetensors");
    std::vector<io::Tensor> tensors;
    for (const auto& [key, tensor] : reader.tensors())
      if (key != left_out && tensor.dtype == io::DType::F32)
        tensors.push_back(
            io::make_tensor(key, reader.read<float>(key, 1, size_of(tensor)), tensor.shape));
    io::write_safetensors(directory / "model.safetensors", tensors);
  };
  std::filesystem::copy_file(resnet_data("basic") / "config.json", directory / "config.json");
  const std::string norm = "resnet.encoder.stages.0.layers.0.layer.0.normalization.running_var";
  copy_without(norm);
  check_throws<FileError>([&] { ResNetClassifier<float> made(directory.path()); }, norm);
  copy_without("");
  CHECK_NOTHROW(ResNetClassifier<float>(directory.path()));
}
