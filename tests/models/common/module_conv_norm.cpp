#include <lora/models/common/module_conv_norm.hpp>

#include <lora/models/resnet/resnet_source.hpp>

#include "models/resnet/golden_resnet.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::models;
using namespace lora::test;

TEST_CASE("a convolution and its norm are the same in one pass and in two") {
  peft::PeftConfig lora;
  lora.target_modules = std::vector<std::string>{"convolution"};
  const auto stem = [](const Tuning& tuning) {
    const ResNetSource<double> source(resnet_data("basic"), {.tuning = tuning});
    auto builder = source.builder(1);
    return ModuleConvNorm<double, PackedWeight<double>>(
        builder, ResNetNames(ResNetNaming::hugging_face).stem(), {6, 3, Window::square(7, 2, 3)});
  };
  peft::PeftConfig norms = lora;
  norms.modules_to_save = {"normalization"};
  const ImageShape in{1, 9, 8};
  const Matrix<double> x = random_matrix<double>(in.rows(), 3, 1);
  Matrix<double> expected;
  const std::vector<Tuning> tunings{HeadOnly{}, lora, norms, FullTuning{}};
  // Nothing; A and B; those and the norm; the kernel and the norm.
  const std::vector<std::size_t> trained{0, 2, 4, 3};
  for (std::size_t i = 0; i < tunings.size(); ++i) {
    CAPTURE(i);
    auto module = stem(tunings[i]);
    Matrix<double> y(module.output_shape(in).rows(), 6);
    module.forward(x, in, nullptr, y);
    if (i == 0) expected = y;
    CHECK(largest_difference(y, expected) < 1e-12);
    ModelParameters<double> parameters;
    module.list(parameters);
    CHECK(parameters.trained.size() == trained[i]);
    CHECK(parameters.total >= 6 * 3 * 49 + 12);
  }
}
