#include <lora/layers/lora_conv1d.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/golden.hpp"
#include "support/random_matrix.hpp"
#include "support/repeatable.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

struct Case {
  const char* name;
  SequenceShape in;
  Window1d window;
  double alpha;
};

// The first is PEFT's, of the second, of whose window PEFT 0.21.2 takes no notice in A, the numbers
// are PyTorch's.
const Case cases[] = {
    {"conv1d", {2, 7}, {.kernel = 3, .stride = 2, .padding = 1}, 3},
    {"conv1d_dilation",
     {2, 5},
     {.kernel = 2, .padding = 2, .dilation = 3, .padding_mode = PaddingMode::circular},
     8}};

}  // namespace

TEST_CASE("a LoRA convolution along sequences computes what PEFT's does") {
  for (const auto& [name, in, window, alpha] : cases) {
    CAPTURE(name);
    const Golden<double> golden(name, "layers");
    const LoRAConfig config{.rank = 2, .alpha = alpha};
    const Vector<double> bias = golden["bias"].row(0).transpose();
    LoRAConv1d<double> layer(golden["w"], window, config, 1, bias);
    layer.replace_adapter(config, std::vector{golden["a"], golden["b"]});
    CHECK(layer.output_shape(in).rows() == golden["y"].rows());
    Matrix<double> y, dx;
    Tape<double> tape;
    layer.forward(golden["x"], in, tape, y);
    CHECK(largest_difference(y, golden["y"]) < 1e-13);
    layer.backward(golden["x"], in, golden["dy"], tape, dx);
    CHECK(largest_difference(dx, golden["dx"]) < 1e-13);
    CHECK(largest_difference(layer.lora_A().grad, golden["da"]) < 1e-13);
    CHECK(largest_difference(layer.lora_B().grad, golden["db"]) < 1e-13);
    CHECK(largest_difference(layer.merged_weight(), golden["merged"]) < 1e-14);
    layer.merge();
    layer.forward(golden["x"], in, y);
    CHECK(largest_difference(y, golden["y"]) < 1e-13);
    layer.unmerge();
  }
}

TEST_CASE("gradients outside of a convolution along sequences are its own, dropout included") {
  LoRAConv1d<double> layer(random_matrix<double>(5, 9, 1), {.kernel = 3, .padding = 1},
                           {.rank = 2, .dropout = 0.4}, 2);
  layer.lora_B().value = random_matrix<double>(5, 2, 3);
  const SequenceShape in{3, 6};
  Matrix<double> x = random_matrix<double>(in.rows(), 3, 4), y, dx, dx_outside;
  const Matrix<double> c = random_matrix<double>(in.rows(), 5, 5);
  Tape<double> tape;
  const auto state = tape.random_state();
  const auto forward = [&] {
    tape.set_random_state(state);
    layer.forward(x, in, tape, y);
  };
  forward();
  layer.backward(x, in, c, tape, dx);
  const auto loss = [&] {
    forward();
    tape.clear();
    return (y.array() * c.array()).sum();
  };
  CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
  for (Parameter<double>* parameter : layer.parameters())
    CHECK(relative_error(parameter->grad, finite_difference(parameter->value, loss)) < 1e-6);
  Gradients<double> gradients(layer.parameters());
  const LoRAConv1d<double>& constant = layer;
  forward();
  constant.backward(x, in, c, tape, gradients, dx_outside);
  CHECK(same_bits(dx_outside, dx));
  CHECK(same_bits(gradients.of(layer.lora_A()), layer.lora_A().grad));
  forward();
  constant.backward(x, in, c, tape, gradients);
  forward();
  layer.backward(x, in, c, tape);
  CHECK(same_bits(gradients.of(layer.lora_B()), layer.lora_B().grad));
}

TEST_CASE(
    "the files of a convolution along sequences have PEFT's shapes, and misfits are refused") {
  LoRAConv1d<float> layer(random_matrix<float>(4, 6, 1), {.kernel = 3}, {.rank = 2}, 2);
  const auto tensors = layer.adapter_tensors({.rank = 5});
  REQUIRE(tensors.size() == 2);
  CHECK(tensors[0].shape == std::vector<Index>{5, 2, 3});
  CHECK(tensors[1].shape == std::vector<Index>{4, 5, 1});
  Matrix<float> y;
  layer.set_name("encoder.conv1");
  check_throws<ShapeError>(
      [&] {
        layer.forward(random_matrix<float>(4, 2, 3), SequenceShape{2, 2}, y);
      },
      "encoder.conv1 (LoRAConv2d::forward): images of 1 x 2 pixels");
  check_throws<ConfigError>(
      [] { LoRAConv1d<float>(random_matrix<float>(4, 6, 1), Window1d{.dilation = 0}); },
      "dilation is 1 x 0");
}

TEST_CASE("each image or sequence of a mixed batch has the bits that it has alone", "[threads]") {
  using Convolution = LoRAConv1d<float>;
  Convolution layer(random_matrix<float>(20, 18, 1), {.kernel = 3, .padding = 1},
                    Vector<float>(random_matrix<float>(20, 1, 7).col(0)));
  layer.set_name("conv1");
  for (const char* name : {"plain", "dora"}) {
    LoRAAdapter<float> adapter({.rank = 2, .use_dora = std::string(name) == "dora"},
                               random_matrix<float>(2, 18, 2),
                               random_matrix<float>(20, 2, static_cast<std::uint64_t>(name[0])));
    if (adapter.config().use_dora) adapter.set_magnitude(random_matrix<float>(1, 20, 4));
    layer.add_adapter(name, std::move(adapter));
  }
  const std::vector<std::string> names{"dora", "plain", "__base__", "dora", "plain"};
  const AdapterRoutes routes(names);
  const SequenceShape in{5, 7};
  const Matrix<float> x = random_matrix<float>(in.rows(), 6, 3);
  Matrix<float> y, as_image, alone;
  check_repeatable<float>([&] { layer.forward(x, in, routes, y); }, y);
  const LoRAConv2d<float>& of_images = layer;
  of_images.forward(x, in.as_images(), routes, as_image);
  CHECK(same_bits(y, as_image));
  for (const char* name : {"dora", "plain", "__base__"}) {
    CAPTURE(name);
    std::string(name) == base_adapter ? layer.unset_adapter() : layer.set_adapter(name);
    std::vector<Index> rows;
    for (Index i = 0; i < in.rows(); ++i)
      if (names[static_cast<std::size_t>(i / in.length)] == name) rows.push_back(i);
    const Matrix<float> own_x = x(rows, Eigen::all), own_y = y(rows, Eigen::all);
    layer.forward(own_x, SequenceShape{static_cast<Index>(rows.size()) / in.length, in.length},
                  alone);
    CHECK(same_bits(own_y, alone));
  }
  check_throws<ShapeError>([&] { layer.forward(x, in, AdapterRoutes({"plain"}), y); },
                           "conv1 (LoRAConv2d::forward(x, in, routes, y)): the routes are of 1 "
                           "images, expected the 5 of the batch");
  check_throws<ConfigError>(
      [&] {
        layer.forward(x, in, AdapterRoutes({"a", "plain", "plain", "plain", "plain"}), y);
      },
      "row 0 is routed to an adapter called \"a\"");
}
