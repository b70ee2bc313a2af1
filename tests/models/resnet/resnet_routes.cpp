#include <lora/models/resnet/resnet_classifier.hpp>

#include <cstdint>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <lora/adapters/adapter_registry.hpp>

#include "models/resnet/golden_resnet.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/repeatable.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

namespace {

using Names = std::vector<std::string>;
using Model = ResNetClassifier<float>;

// A ResNet with adapters "one", with dropout, and "two", which adapts not every layer; the norms
// train as wholes if `norms`.
struct Tenants {
  explicit Tenants(bool norms = false)
      : model(resnet_data("bottleneck"), {.tuning = tuning(norms)}) {
    AdapterRegistry<float>::Modules one, two;
    std::uint64_t seed = 1;
    model.for_each_adapted([&](auto& layer) {
      registry.manage(layer);
      const auto adapter = [&](Index rank, double dropout) {
        ++seed;
        return LoRAAdapter<float>({.rank = rank, .dropout = dropout},
                                  0.2F * random_matrix<float>(rank, layer.in_features(), seed),
                                  random_matrix<float>(layer.out_features(), rank, 100 + seed),
                                  seed);
      };
      one.emplace(layer.name(), adapter(3, 0.3));
      if (seed % 3 != 0) two.emplace(layer.name(), adapter(2, 0));
    });
    registry.add("one", std::move(one));
    registry.add("two", std::move(two));
    registry.remove(default_adapter);
  }

  static peft::PeftConfig tuning(bool norms) {
    peft::PeftConfig config;
    config.r = 2;
    config.target_modules = Names{"convolution", "classifier.1"};
    if (norms) config.modules_to_save = {"normalization"};
    return config;
  }

  [[nodiscard]] AdapterRoutes routes(const Names& names) const {
    AdapterRoutes bound(names);
    registry.bind(bound);
    return bound;
  }

  void use(const std::string& name) {
    name == base_adapter ? registry.deactivate() : registry.activate(name);
  }

  Model model;
  AdapterRegistry<float> registry;
};

const Names image_tenants{"two", "one", "__base__", "two", "one"};

ImageBatch<float> some_images(Index count) {
  const ImageShape size{count, 33, 34};
  return {size, random_matrix<float>(size.rows(), 3, 1)};
}

ImageBatch<float> of_tenant(const ImageBatch<float>& batch, const std::vector<Index>& images) {
  const Index pixels = batch.size.height * batch.size.width;
  ImageBatch<float> some{batch.size, Matrix<float>(pixels * static_cast<Index>(images.size()), 3)};
  some.size.images = static_cast<Index>(images.size());
  for (std::size_t i = 0; i < images.size(); ++i)
    some.pixels.middleRows(static_cast<Index>(i) * pixels, pixels) =
        batch.pixels.middleRows(images[i] * pixels, pixels);
  return some;
}

}  // namespace

TEST_CASE("each image of a mixed batch through a ResNet computes and trains as with its adapter") {
  const ImageBatch<float> batch = some_images(5);
  const Matrix<float> dlogits = random_matrix<float>(5, 3, 3);
  for (const bool norms : {false, true}) {
    CAPTURE(norms);
    Tenants tenants(norms);
    Model& model = tenants.model;
    Matrix<float> logits, trained, alone;
    ImageTape<float> tape;
    model.forward(batch, tenants.routes(image_tenants), logits);
    model.forward(batch, tenants.routes(image_tenants), tape, trained);
    model.backward(dlogits, tape);
    CHECK(tape.empty());
    for (const std::string name : {"one", "two", "__base__"}) {
      CAPTURE(name);
      tenants.use(name);
      std::vector<Index> images;
      for (std::size_t i = 0; i < image_tenants.size(); ++i)
        if (image_tenants[i] == name) images.push_back(static_cast<Index>(i));
      const ImageBatch<float> own = of_tenant(batch, images);
      model.forward(own, alone);
      CHECK(largest_difference(logits(images, Eigen::all), alone) < 1e-4);
      if (name == base_adapter) continue;
      std::vector<Matrix<float>> gradients;
      for (auto* parameter : tenants.registry.parameters(name)) {
        gradients.emplace_back(parameter->grad);
        parameter->zero_grad();
      }
      ImageTape<float> own_tape;
      model.forward(own, own_tape, alone);
      CHECK(largest_difference(trained(images, Eigen::all), alone) < 1e-4);
      const Matrix<float> own_dlogits = dlogits(images, Eigen::all);
      model.backward(own_dlogits, own_tape);
      std::size_t i = 0;
      for (auto* parameter : tenants.registry.parameters(name)) {
        CAPTURE(parameter->name);
        CHECK(parameter->grad.norm() > 0);
        CHECK(largest_difference(parameter->grad, gradients[i]) <
              1e-4F * gradients[i].cwiseAbs().maxCoeff());
        ++i;
      }
    }
  }
}

TEST_CASE("mixed batches through a ResNet have the same bits on any number of threads",
          "[threads]") {
  Tenants tenants;
  Model& model = tenants.model;
  const ImageBatch<float> batch = some_images(5);
  const AdapterRoutes routes = tenants.routes(image_tenants);
  const Matrix<float> dlogits = random_matrix<float>(5, 3, 3);
  const auto parameters = tenants.registry.parameters("one");
  Matrix<float> logits, trained, da;
  ImageTape<float> tape;
  check_repeatable<float>(
      [&] {
        tape.frames.set_random_state({});
        model.forward(batch, routes, logits);
        model.forward(batch, routes, tape, trained);
        for (auto* parameter : parameters) parameter->grad.setZero();
        model.backward(dlogits, tape);
        da = parameters[0]->grad;
      },
      logits, trained, da);
}

TEST_CASE("a mixed batch that a ResNet cannot compute is refused by name") {
  Tenants tenants;
  const ImageBatch<float> batch = some_images(2);
  Matrix<float> logits;
  ImageTape<float> tape;
  check_throws<StateError>(
      [&] {
        tenants.model.forward(batch, AdapterRoutes({"one", "two"}), logits);
      },
      "ResNetClassifier::forward: the routes are not bound");
  check_throws<ShapeError>([&] { tenants.model.forward(batch, tenants.routes({"one"}), logits); },
                           "the routes are of 1 images, expected the 2 of the batch");
  check_throws<ConfigError>(
      [&] {
        static_cast<void>(tenants.routes({"one", "three"}));
      },
      "called \"three\"");
  // Who was removed after the routes were bound still serves them, and is not trained.
  const AdapterRoutes routes = tenants.routes({"one", "two"});
  tenants.registry.remove("two");
  tenants.model.forward(batch, routes, tape, logits);
  const Matrix<float> dlogits = random_matrix<float>(2, 3, 3);
  check_throws<StateError>([&] { tenants.model.backward(dlogits, tape); },
                           "the adapter \"two\" was deleted");

  const Model moving(resnet_data("basic"), {.tuning = FullTuning{}, .batch_statistics = true});
  AdapterRoutes base(Names{"__base__", "__base__"});
  tenants.registry.bind(base);
  check_throws<StateError>([&] { moving.forward(batch, base, tape, logits); },
                           "under batch_statistics");
}
