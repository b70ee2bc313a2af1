// LoRAConfig::lora_bias in all layers that have it.

#include <string>
#include <utility>
#include <vector>

#include <lora/frozen/packed_weight.hpp>
#include <lora/layers/lora_conv2d.hpp>
#include <lora/layers/lora_embedding.hpp>
#include <lora/layers/lora_linear_group.hpp>

#include "contracts/lora_layer.hpp"

using namespace lora;
using namespace lora::test;

namespace {

// A layer whose B and b_B are not zero.
template <class T, class Frozen = DenseWeight<T>>
LoRALinear<T, Frozen> biased_layer(Index out, Index in, LoRAConfig config,
                                   std::uint64_t seed = 10) {
  config.lora_bias = true;
  const Vector<T> bias = random_matrix<T>(out, 1, 7).col(0);
  LoRALinear<T, Frozen> layer(Frozen(random_matrix<T>(out, in, 8)), config, 9, bias);
  layer.lora_B().value = random_matrix<T>(out, config.rank, seed);
  layer.lora_B_bias().value = random_matrix<T>(1, out, seed + 1);
  return layer;
}

}  // namespace

TEST_CASE("a new adapter with lora_bias is the base model, and its b_B trains under PEFT's name") {
  LoRALinear<float> layer(DenseWeight<float>(random_matrix<float>(20, 30, 1)),
                          {.rank = 2, .lora_bias = true}, 3);
  layer.set_name("block.fc");
  CHECK(layer.lora_B_bias().value.isZero(0));
  CHECK(layer.lora_B_bias().name == "block.fc.lora_B.bias");
  CHECK(layer.lora_B_bias().shape() == std::vector<Index>{20});
  CHECK(layer.parameters().size() == 3);
  CHECK(layer.trainable_parameters() == 2 * 50 + 20);
  const Matrix<float> x = random_matrix<float>(5, 30, 2);
  Matrix<float> y, off;
  layer.forward(x, y);
  layer.disable_adapter();
  layer.forward(x, off);
  CHECK(same_bits(y, off));
}

TEST_CASE("layers with lora_bias keep the contract of LoRA layers") {
  auto layer = biased_layer<double>(13, 9, {.rank = 3, .dropout = 0.4, .train_bias = true});
  check_gradients(layer, 7, 1);
  check_lora_layer(biased_layer<float>(37, 21, {.rank = 4}), 19);
}

TEST_CASE("lora_bias adds s b_B, and merging adds it to the bias alone") {
  auto layer = biased_layer<double>(8, 6, {.rank = 2, .alpha = 3});
  LoRALinear<double> plain(DenseWeight<double>(layer.weight().matrix()), {.rank = 2, .alpha = 3}, 1,
                           layer.bias().value.transpose());
  plain.replace_adapter({.rank = 2, .alpha = 3}, layer.lora_A().value, layer.lora_B().value);
  const Matrix<double> x = random_matrix<double>(5, 6, 2);
  const Matrix<double> bias = layer.bias().value;
  Matrix<double> y, other;
  layer.forward(x, y);
  plain.forward(x, other);
  other.rowwise() += 1.5 * layer.lora_B_bias().value.row(0);
  CHECK(largest_difference(y, other) < 1e-14);
  CHECK(largest_difference(layer.merged_weight(), plain.merged_weight()) < 1e-14);
  const Matrix<double> merged = bias + 1.5 * layer.lora_B_bias().value;
  CHECK(largest_difference(layer.bias_in_use(), merged) < 1e-14);
  CHECK(same_bits(plain.bias_in_use(), bias));
  layer.merge();
  CHECK(largest_difference(layer.bias().value, merged) < 1e-14);
  CHECK(same_bits(layer.bias_in_use(), Matrix<double>(layer.bias().value)));
  layer.unmerge();
  CHECK(same_bits(Matrix<double>(layer.bias().value), bias));
  layer.merge(MergeMode::permanent);
  const auto [weight, whole] = std::move(layer).unload();
  CHECK(largest_difference(whole.transpose(), merged) < 1e-14);
}

TEST_CASE("lora_bias over a layer without a bias computes, and merging is refused as in PEFT") {
  LoRALinear<double> layer(DenseWeight<double>(random_matrix<double>(4, 3, 1)),
                           {.rank = 2, .lora_bias = true}, 3);
  layer.lora_B_bias().value.setOnes();
  Matrix<double> y;
  const Matrix<double> x = Matrix<double>::Zero(1, 3);
  layer.forward(x, y);
  CHECK(same_bits(y, Matrix<double>::Constant(1, 4, 2)));
  const Matrix<double> w = layer.weight().dense();
  check_throws<StateError>([&] { layer.merge(); }, "lora_bias");
  check_throws<StateError>([&] { static_cast<void>(layer.bias_in_use()); }, "lora_bias");
  CHECK(same_bits(layer.weight().dense(), w));
  CHECK_FALSE(layer.merged());
}

TEST_CASE("settings that do not go with lora_bias are refused by name") {
  const auto make = [](const LoRAConfig& config) { LoRAAdapter<float>(4, 3, config, 1); };
  check_throws<ConfigError>([&] { make({.rank = 2, .use_dora = true, .lora_bias = true}); },
                            "lora_bias and use_dora");
  check_throws<ConfigError>(
      [&] { make({.rank = 2, .init = LoRAInit::gaussian, .lora_bias = true}); },
      "init is gaussian");
  check_throws<ConfigError>(
      [&] {
        LoRAEmbedding<float>(DenseWeight<float>(random_matrix<float>(5, 3, 1)),
                             {.rank = 2, .lora_bias = true}, 1);
      },
      "lora_bias is set, which embeddings do not have");
  LoRAAdapter<float> plain(4, 3, {.rank = 2}, 1), biased(4, 3, {.rank = 2, .lora_bias = true}, 1);
  check_throws<ConfigError>([&] { plain.set_b_bias(Matrix<float>::Ones(1, 4)); }, "lora_bias");
  check_throws<ShapeError>([&] { biased.set_b_bias(Matrix<float>::Ones(1, 5)); }, "b_bias");
  auto layer = biased_layer<float>(4, 3, {.rank = 2});
  const Matrix<float> a = layer.lora_A().value, b = layer.lora_B().value;
  check_throws<ShapeError>(
      [&] {
        layer.replace_adapter({.rank = 2, .lora_bias = true}, a, b, {}, Matrix<float>::Ones(1, 3));
      },
      "b_bias");
  check_throws<ConfigError>(
      [&] { layer.replace_adapter({.rank = 2}, a, b, {}, Matrix<float>::Ones(1, 4)); },
      "lora_bias");
}

TEST_CASE("a group with lora_bias is what its layers compute alone") {
  const auto parts = [] {
    std::vector<LoRALinear<float, PackedWeight<float>>> all;
    all.push_back(biased_layer<float, PackedWeight<float>>(40, 21, {.rank = 4, .dropout = 0.3}, 1));
    all.push_back(biased_layer<float, PackedWeight<float>>(13, 21, {.rank = 2}, 3));
    all[0].set_name("q");
    all[1].set_name("v");
    return all;
  };
  LoRALinearGroup<float, PackedWeight<float>> group(parts());
  auto alone = parts();
  for (const Index n : {3, 70}) {
    const Matrix<float> x = random_matrix<float>(n, 21, 1);
    const std::vector<Matrix<float>> dy{random_matrix<float>(n, 40, 2),
                                        random_matrix<float>(n, 13, 3)};
    std::vector<Matrix<float>> y(2);
    Matrix<float> dx, own, own_dx;
    zero_grad(group.parameters());
    Tape<float> tape;
    group.forward(x, tape, y);
    group.backward(x, dy, tape, dx);
    for (std::size_t p = 0; p < 2; ++p) {
      zero_grad(alone[p].parameters());
      alone[p].forward(x, tape, own);
      if (p == 1) CHECK(largest_difference(y[p], own) < 1e-5);
      alone[p].backward(x, dy[p], tape, own_dx);
      CHECK(same_bits(Matrix<float>(group.part(p).lora_B_bias().grad),
                      Matrix<float>(alone[p].lora_B_bias().grad)));
      Matrix<float> inferred;
      alone[p].forward(x, own);
      group.forward(x, y);
      CHECK(largest_difference(y[p], own) < 1e-5);
    }
  }
}

TEST_CASE("rows of a mixed batch have the b_B of their own adapters") {
  auto layer = biased_layer<double>(7, 5, {.rank = 2, .alpha = 3});
  for (const char* name : {"a", "b"}) {
    LoRAAdapter<double> adapter(7, 5, {.rank = 3, .lora_bias = *name == 'a'}, 4);
    adapter.b().value = random_matrix<double>(7, 3, 5);
    if (*name == 'a') adapter.b_bias().value = random_matrix<double>(1, 7, 6);
    layer.add_adapter(name, std::move(adapter));
  }
  std::vector<LoRALinear<double>> in_group{layer};
  LoRALinearGroup<double> group(std::move(in_group));
  const std::vector<std::string> names{"a", "default", "__base__", "b", "a", "default"};
  const Matrix<double> x = random_matrix<double>(6, 5, 2), dy = random_matrix<double>(6, 7, 3);
  Matrix<double> y, dx, alone, own;
  Tape<double> tape;
  layer.forward(x, AdapterRoutes(names), tape, y);
  layer.backward(x, dy, tape, dx);
  std::vector<Matrix<double>> grouped(1);
  group.forward(x, AdapterRoutes(names), tape, grouped);
  CHECK(largest_difference(grouped[0], y) < 1e-13);
  group.backward(x, std::vector<Matrix<double>>{dy}, tape, dx);
  for (const std::string name : {"a", "default"}) {
    CAPTURE(name);
    layer.set_adapter(name);
    group.part(0).set_adapter(name);
    const Matrix<double> grad = layer.lora_B_bias().grad;
    CHECK(largest_difference(Matrix<double>(group.part(0).lora_B_bias().grad), grad) < 1e-14);
    layer.lora_B_bias().zero_grad();
    Matrix<double> sum = Matrix<double>::Zero(1, 7);
    for (std::size_t i = 0; i < names.size(); ++i) {
      if (names[i] != name) continue;
      const auto row = static_cast<Index>(i);
      layer.forward(x.row(row), tape, alone);
      CHECK(largest_difference(y.row(row), alone) < 1e-13);
      layer.backward(x.row(row), dy.row(row), tape, own);
    }
    CHECK(largest_difference(Matrix<double>(layer.lora_B_bias().grad), grad) < 1e-13);
  }
}

TEST_CASE("gradients of a convolution with lora_bias and a norm agree with finite differences") {
  const Window window = Window::square(2, 1, 1);
  LoRAConv2d<double> layer(random_matrix<double>(3, 2 * 4, 1), window,
                           {.rank = 2, .dropout = 0.3, .lora_bias = true}, 2,
                           random_matrix<double>(3, 1, 3).col(0));
  layer.lora_B().value = random_matrix<double>(3, 2, 4);
  layer.lora_B_bias().value = random_matrix<double>(1, 3, 5);
  layer.set_norm(random_matrix<double>(3, 1, 6).col(0), random_matrix<double>(3, 1, 7).col(0));
  const ImageShape in{2, 3, 3};
  const Matrix<double> c = random_matrix<double>(layer.output_shape(in).rows(), 3, 8);
  Matrix<double> x = random_matrix<double>(in.rows(), 2, 9), y, dx;
  const auto loss = [&] {
    Tape<double> tape;
    layer.forward(x, in, tape, y);
    return (y.array() * c.array()).sum();
  };
  Tape<double> tape;
  layer.forward(x, in, tape, y);
  layer.backward(x, in, c, tape, dx);
  CHECK(layer.parameters().size() == 3);
  CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
  for (Parameter<double>* parameter : layer.parameters()) {
    CAPTURE(parameter->name);
    CHECK(relative_error(parameter->grad, finite_difference(parameter->value, loss)) < 1e-6);
  }
}
