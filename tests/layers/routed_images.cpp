#include <lora/layers/routed_images.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <lora/layers/lora_conv1d.hpp>
#include <lora/layers/lora_conv2d.hpp>

#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/random_matrix.hpp"
#include "support/repeatable.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

using Names = std::vector<std::string>;

struct ImageCase {
  Index groups = 1;
  bool normed = false;
  double dropout = 0;
  Window window = Window::square(3, 2, 1);
};

// A convolution with adapters "plain", "wide" with lora_bias, and "dora", which is without groups.
template <class T>
LoRAConv2d<T> convolution(const ImageCase& what, Index out = 12, Index channels = 4) {
  const Index patch = channels * what.window.taps();
  LoRAConv2d<T> layer(random_matrix<T>(out, patch / what.groups, 8), what.window,
                      Vector<T>(random_matrix<T>(out, 1, 7).col(0)), Groups{what.groups});
  layer.set_name("conv1");
  std::uint64_t seed = 20;
  for (const char* name : {"plain", "wide", "dora"}) {
    const bool dora = *name == 'd', wide = *name == 'w';
    if (dora && what.groups > 1) continue;
    LoRAConfig config{.rank = wide ? 8 : 4, .alpha = 6, .use_dora = dora, .lora_bias = wide};
    if (!wide) config.dropout = what.dropout;
    Matrix<T> a = random_matrix<T>(config.rank, patch, ++seed);
    Matrix<T> b = random_matrix<T>(out, config.rank / what.groups, ++seed);
    LoRAAdapter<T> adapter(config, std::move(a), std::move(b), seed, what.groups);
    if (dora) adapter.set_magnitude(random_matrix<T>(1, out, ++seed));
    if (wide) adapter.set_b_bias(random_matrix<T>(1, out, ++seed));
    layer.add_adapter(name, std::move(adapter));
  }
  if (what.normed)
    layer.set_norm(random_matrix<T>(out, 1, 11).col(0), random_matrix<T>(out, 1, 12).col(0));
  return layer;
}

const Names some_names{"wide", "plain", "__base__", "plain", "wide", "wide"};
const Names names_of_images{"dora", "plain", "__base__", "dora", "wide", "plain"};

// The rows of the images of one name.
template <class T>
Matrix<T> of_name(const Matrix<T>& m, const Names& names, const std::string& name) {
  std::vector<Index> rows;
  const Index pixels = m.rows() / static_cast<Index>(names.size());
  for (Index i = 0; i < m.rows(); ++i)
    if (names[static_cast<std::size_t>(i / pixels)] == name) rows.push_back(i);
  return m(rows, Eigen::all);
}

}  // namespace

TEST_CASE("images of a mixed batch compute and train as in batches of their own, bit by bit") {
  using T = float;
  for (const ImageCase& what :
       {ImageCase{}, ImageCase{.normed = true, .dropout = 0.4}, ImageCase{.groups = 2},
        ImageCase{.groups = 4, .normed = true, .dropout = 0.3},
        ImageCase{.dropout = 0.2, .window = {}}}) {
    CAPTURE(what.groups, what.normed, what.dropout);
    const ImageShape in{6, 5, 6};
    const Names& names = what.groups > 1 ? some_names : names_of_images;
    const AdapterRoutes routes(names);
    auto layer = convolution<T>(what), other = convolution<T>(what);
    const Matrix<T> x = random_matrix<T>(in.rows(), 4, 1);
    const Matrix<T> dy = random_matrix<T>(layer.output_shape(in).rows(), 12, 2);
    Matrix<T> y, taped, dx;
    Tape<T> tape;
    layer.forward(x, in, routes, y);
    layer.forward(x, in, routes, tape, taped);
    layer.backward(x, in, dy, tape, dx);
    CHECK(tape.empty());
    for (const std::string name : {"plain", "wide", "dora", "__base__"}) {
      CAPTURE(name);
      const Matrix<T> own_x = of_name(x, names, name), own_dy = of_name(dy, names, name);
      if (own_x.rows() == 0) continue;
      name == base_adapter ? other.unset_adapter() : other.set_adapter(name);
      const ImageShape own{own_x.rows() / 30, 5, 6};
      Matrix<T> own_y, own_dx;
      Tape<T> own_tape;
      other.forward(own_x, own, own_y);
      CHECK(same_bits(of_name(y, names, name), own_y));
      other.forward(own_x, own, own_tape, own_y);
      other.backward(own_x, own, own_dy, own_tape, own_dx);
      CHECK(same_bits(of_name(taped, names, name), own_y));
      CHECK(same_bits(of_name(dx, names, name), own_dx));
      if (name == base_adapter) continue;
      const auto all = layer.parameters({name}), alone = other.parameters();
      REQUIRE(all.size() == alone.size());
      for (std::size_t i = 0; i < all.size(); ++i) CHECK(same_bits(all[i]->grad, alone[i]->grad));
    }
  }
}

TEST_CASE("gradients of a mixed batch of images agree with finite differences") {
  auto layer = convolution<double>({.normed = true, .dropout = 0.3}, 3, 2);
  layer.set_train_bias(true);
  const ImageShape in{6, 3, 2};
  const AdapterRoutes routes(names_of_images);
  Matrix<double> x = random_matrix<double>(in.rows(), 2, 1), y, dx;
  const Matrix<double> dy = random_matrix<double>(layer.output_shape(in).rows(), 3, 2);
  Tape<double> tape;
  const auto state = tape.random_state();
  layer.forward(x, in, routes, tape, y);
  layer.backward(x, in, dy, tape, dx);
  const auto loss = [&] {
    Tape<double> again;
    again.set_random_state(state);
    layer.forward(x, in, routes, again, y);
    return y.cwiseProduct(dy).sum();
  };
  CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-7);
  // The norms that DoRA divides by are constants in backward, so only its m is asked for.
  auto* const m = layer.parameters({"dora"})[2];
  CHECK(relative_error(m->grad, finite_difference(m->value, loss)) < 1e-7);
  const auto parameters = layer.parameters({"plain", "wide"});
  CHECK(parameters.size() == 6);
  for (auto* parameter : parameters)
    CHECK(relative_error(parameter->grad, finite_difference(parameter->value, loss)) < 1e-7);
}

TEST_CASE("mixed batches of images have the same bits on any number of threads, and allocate once",
          "[threads]") {
  auto layer = convolution<float>({.dropout = 0.2}, 70, 20);
  const ImageShape in{6, 7, 6};
  const AdapterRoutes routes(names_of_images);
  const Matrix<float> x = random_matrix<float>(in.rows(), 20, 1);
  const Matrix<float> dy = random_matrix<float>(layer.output_shape(in).rows(), 70, 2);
  Matrix<float> y, trained, dx, da, db;
  Tape<float> tape;
  Gradients<float> gradients(layer.parameters({"plain", "wide", "dora"}));
  const auto& const_layer = layer;
  layer.set_adapter("dora");
  check_repeatable<float>(
      [&] {
        tape.set_random_state({});
        layer.forward(x, in, routes, y);
        layer.forward(x, in, routes, tape, trained);
        gradients.zero();
        const_layer.backward(x, in, dy, tape, gradients, dx);
        da = gradients.of(layer.lora_A());
        db = gradients.of(layer.lora_B());
      },
      y, trained, dx, da, db);
}

TEST_CASE("a mixed batch of images that cannot be computed or trained is refused by name") {
  const ImageShape in{2, 3, 4};
  const Matrix<float> x = random_matrix<float>(in.rows(), 4, 1);
  auto layer = convolution<float>({});
  const Index rows = layer.output_shape(in).rows();
  const Matrix<float> dy = random_matrix<float>(rows, 12, 2);
  Matrix<float> y = random_matrix<float>(rows, 12, 3);
  const Matrix<float> before = y;
  Tape<float> tape;
  const auto forward = [&](const Names& names) {
    layer.forward(x, in, AdapterRoutes(names), tape, y);
  };
  check_throws<ConfigError>(
      [&] {
        forward({"plain", "frnch"});
      },
      "conv1 (LoRAConv2d::forward(x, in, routes, tape, y)): row 1 is routed "
      "to an adapter called \"frnch\", which the layer does not have");
  check_throws<ShapeError>([&] { forward({"plain"}); },
                           "the routes are of 1 images, expected the 2 of the batch");
  layer.set_adapter("wide");
  check_throws<ConfigError>([&] { forward({"wide", "__active__"}); }, "train it under one name");
  CHECK(same_bits(y, before));
  CHECK(tape.empty());

  forward({"plain", "wide"});
  check_throws<StateError>([&] { layer.backward(x, {2, 4, 3}, dy, tape); }, "of another size");
  layer.parameters({"wide"})[0]->value(0, 0) += 1;
  check_throws<StateError>([&] { layer.backward(x, in, dy, tape); }, "A");
  layer.parameters({"wide"})[0]->value(0, 0) -= 1;
  layer.delete_adapter("wide");
  check_throws<StateError>([&] { layer.backward(x, in, dy, tape); },
                           "conv1 (LoRAConv2d::backward): the adapter \"wide\" was deleted");
  CHECK(layer.parameters({"plain"})[1]->grad.isZero(0));
  check_throws<ConfigError>([&] { forward({"plain", "wide"}); }, "called \"wide\"");
}

TEST_CASE("sequences of a mixed batch train as images of one row") {
  LoRAConv1d<float> layer(random_matrix<float>(5, 9, 1), {.kernel = 3, .padding = 1});
  for (const char* name : {"a", "b"}) {
    layer.add_adapter(name, {.rank = 2}, 1);
    layer.parameters({name})[1]->value = random_matrix<float>(5, 2, 3);
  }
  LoRAConv2d<float> images = layer;
  const AdapterRoutes routes({"b", "a", "b"});
  const SequenceShape in{3, 6};
  const Matrix<float> x = random_matrix<float>(in.rows(), 3, 4),
                      dy = random_matrix<float>(18, 5, 5);
  Matrix<float> y, dx, as_image, dx_as_image;
  Tape<float> tape;
  layer.forward(x, in, routes, tape, y);
  layer.backward(x, in, dy, tape, dx);
  images.forward(x, in.as_images(), routes, tape, as_image);
  images.backward(x, in.as_images(), dy, tape, dx_as_image);
  CHECK(same_bits(y, as_image));
  CHECK(same_bits(dx, dx_as_image));
  CHECK(same_bits(layer.parameters({"b"})[0]->grad, images.parameters({"b"})[0]->grad));
}
