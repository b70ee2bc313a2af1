#include <lora/models/resnet/resnet_classifier.hpp>

#include <string>
#include <vector>

#include <lora/nn/cross_entropy.hpp>
#include <lora/optim/sgd.hpp>

#include "models/resnet/golden_resnet.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

TEST_CASE("a step with the statistics of the batch is PyTorch's, and moves them as it does") {
  const GoldenResNet golden("training");
  ResNetClassifier<float> model(resnet_data("basic"),
                                {.tuning = FullTuning{}, .batch_statistics = true});
  ImageTape<float> tape;
  Matrix<float> logits, dlogits;
  model.forward(golden.batch, tape, logits);
  CHECK(largest_difference(logits, golden.reader.read<float>("logits")) < 1e-4);
  const double loss = cross_entropy<float>(logits, std::vector<int>{0, 2}, dlogits);
  CHECK(loss == Approx(golden.reader.read<float>("loss")(0, 0)).epsilon(1e-5));
  model.backward(dlogits, tape);
  for (const Parameter<float>* parameter : model.parameters()) {
    CAPTURE(parameter->name);
    const Matrix<float> expected = golden.reader.read<float>(
        "grad." + parameter->name, parameter->grad.rows(), parameter->grad.cols());
    CHECK(relative_error(parameter->grad.cast<double>(), expected.cast<double>()) < 1e-3);
  }
  int moved = 0;
  for (const Parameter<float>* parameter : model.stored_parameters()) {
    if (parameter->name.find(".running_") == std::string::npos) continue;
    CAPTURE(parameter->name);
    const Matrix<float> expected =
        golden.reader.read<float>(parameter->name, 1, parameter->value.cols());
    CHECK(largest_difference(parameter->value, expected) < 1e-5);
    ++moved;
  }
  CHECK(moved == 2 * 9);
}

TEST_CASE("statistics that would move without being stored, or in several threads, are refused") {
  peft::PeftConfig lora;
  lora.target_modules = std::vector<std::string>{"convolution"};
  check_throws<ConfigError>(
      [&] {
        ResNetClassifier<float>(resnet_data("basic"), {.tuning = lora, .batch_statistics = true});
      },
      "batch_statistics: \"resnet.embedder.embedder.normalization\" does not train as a whole");
  lora.modules_to_save = {"normalization"};
  ResNetClassifier<float> model(resnet_data("basic"), {.tuning = lora, .batch_statistics = true});
  const GoldenResNet golden("training");
  ImageTape<float> tape;
  Matrix<float> logits;
  model.forward(golden.batch, tape, logits);
  Gradients<float> gradients(model.parameters());
  check_throws<StateError>([&] { model.backward(logits, tape, gradients); },
                           "under batch_statistics the model itself changes");
  const Matrix<float> before = model.stored_parameters()[1]->value;
  const Matrix<float> three = Matrix<float>::Zero(3, 3);
  CHECK_THROWS_AS(model.backward(three, tape), ShapeError);
  CHECK(same_bits(before, model.stored_parameters()[1]->value));
  CHECK_NOTHROW(model.backward(logits, tape));
}

TEST_CASE("a new ResNet learns to tell two images apart, and reloads to what it was") {
  const GoldenResNet golden("training");
  const ResNetConfig config = cifar_resnet_config(8, 2);
  const TemporaryDirectory directory;
  write_new_resnet(directory / "new", config, 1);
  ResNetClassifier<float> model(directory / "new",
                                {.tuning = FullTuning{}, .batch_statistics = true});
  CHECK(model.config().stem == ResNetStem::cifar);
  SGD<float> optimizer({.learning_rate = 0.05, .momentum = 0.9});
  ImageTape<float> tape;
  Matrix<float> logits, dlogits;
  double first = 0, last = 0;
  for (int step = 0; step < 40; ++step) {
    model.forward(golden.batch, tape, logits);
    last = cross_entropy<float>(logits, std::vector<int>{0, 1}, dlogits);
    if (step == 0) first = last;
    model.backward(dlogits, tape);
    optimizer.step(model.parameters());
    for (Parameter<float>* parameter : model.parameters()) parameter->zero_grad();
  }
  CHECK(first > 0.2);
  CHECK(last < 0.05);
  model.forward(golden.batch, logits);
  model.save_model(directory / "trained");
  const ResNetClassifier<float> again(directory / "trained");
  Matrix<float> reloaded;
  again.forward(golden.batch, reloaded);
  CHECK(largest_difference(logits, reloaded) < 1e-4);
}
