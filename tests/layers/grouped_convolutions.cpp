#include <lora/adapters/stacked_adapter.hpp>
#include <lora/frozen/half_weight.hpp>
#include <lora/layers/lora_conv1d.hpp>
#include <lora/layers/lora_conv2d.hpp>

#include <vector>

#include "contracts/lora_layer.hpp"
#include "support/golden.hpp"
#include "support/naive_conv2d.hpp"
#include "support/on_images.hpp"
#include "support/throws.hpp"
#include "support/ungrouped_kernel.hpp"

using namespace lora;
using namespace lora::test;

namespace {

// A layer whose B is not zero.
template <class T, class Frozen = PackedWeight<T>>
LoRAConv2d<T, Frozen> make_grouped(Index groups, Index out, Index channels, const Window& window,
                                   const LoRAConfig& config) {
  LoRAConv2d<T, Frozen> layer(random_matrix<T>(out, channels / groups * window.taps(), 8), window,
                              config, 9, random_matrix<T>(out, 1, 7).col(0), Groups{groups});
  layer.lora_B().value = random_matrix<T>(out, config.rank / groups, 10);
  return layer;
}

// W + s B A as the kernel (out, in_channels * taps) of a convolution without groups.
template <class Layer>
Matrix<double> whole_kernel(const Layer& layer, const Matrix<double>& w) {
  const auto& b = layer.lora_B().value;
  const Index out = layer.out_channels() / layer.groups();
  Matrix<double> whole = ungrouped_kernel(w, layer.groups());
  for (Index g = 0; g < layer.groups(); ++g)
    whole.middleRows(g * out, out) +=
        layer.scaling() * b.middleRows(g * out, out).template cast<double>() *
        layer.lora_A().value.middleRows(g * b.cols(), b.cols()).template cast<double>();
  return whole;
}

template <class Layer, class Shape>
void check_golden(Layer layer, const Golden<double>& golden, const LoRAConfig& config,
                  const Shape& in) {
  layer.replace_adapter(config, std::vector{golden["a"], golden["b"]});
  Matrix<double> y, dx;
  Tape<double> tape;
  layer.forward(golden["x"], in, y);
  CHECK(largest_difference(y, golden["y"]) < 1e-13);
  layer.forward(golden["x"], in, tape, y);
  CHECK(largest_difference(y, golden["y"]) < 1e-13);
  layer.backward(golden["x"], in, golden["dy"], tape, dx);
  CHECK(largest_difference(dx, golden["dx"]) < 1e-13);
  CHECK(largest_difference(layer.lora_A().grad, golden["da"]) < 1e-13);
  CHECK(largest_difference(layer.lora_B().grad, golden["db"]) < 1e-13);
}

}  // namespace

TEST_CASE("a LoRA convolution in groups computes what PEFT's does") {
  const auto layer_of = [](const Golden<double>& golden, const auto& window, Index groups,
                           const LoRAConfig& config) {
    const Vector<double> bias = golden["bias"].row(0).transpose();
    if constexpr (requires { window.kernel_height; })
      return LoRAConv2d<double>(golden["w"], window, config, 1, bias, Groups{groups});
    else
      return LoRAConv1d<double>(golden["w"], window, config, 1, bias, Groups{groups});
  };
  const Golden<double> images("conv2d_groups", "layers"), deep("conv2d_depthwise", "layers"),
      sequences("conv1d_groups", "layers");
  LoRAConfig config{.rank = 4, .alpha = 3};
  check_golden(layer_of(images, Window{3, 2, 2, 1, 1, 0}, 2, config), images, config,
               ImageShape{2, 5, 4});
  config = LoRAConfig{.rank = 3, .alpha = 8};
  check_golden(layer_of(deep, Window::square(3, 1, 1), 3, config), deep, config,
               ImageShape{2, 4, 3});
  config = LoRAConfig{.rank = 4, .alpha = 8, .use_rslora = true};
  check_golden(layer_of(sequences, Window1d{3, 2, 1}, 4, config), sequences, config,
               SequenceShape{2, 7});
}

TEST_CASE("a LoRA convolution in groups is that of W + s B A without groups, for every window") {
  for (const Window& window : all_windows())
    for (const Index groups : {2, 6}) {
      CAPTURE(window.kernel_height, window.stride_height, groups);
      const ImageShape in{2, 7, 6};
      const auto layer = make_grouped<double>(groups, 12, 6, window, {.rank = 6, .alpha = 2});
      const Matrix<double> x = random_matrix<double>(in.rows(), 6, 1);
      Matrix<double> y;
      layer.forward(x, in, y);
      const Matrix<double> w = random_matrix<double>(12, 6 / groups * window.taps(), 8);
      const Matrix<double> expected =
          naive_conv2d(x, in, whole_kernel(layer, w), window).rowwise() + layer.bias().value.row(0);
      CHECK(largest_difference(y, expected) < 1e-12);
    }
}

TEST_CASE("every gradient of a convolution in groups agrees with finite differences") {
  for (const Window& window :
       {Window::square(3, 1, 1), Window{3, 2, 1, 2, 2, 1, 2, 1, PaddingMode::replicate}})
    for (const auto& [groups, out, channels] :
         {std::tuple<Index, Index, Index>{2, 4, 6}, {4, 4, 4}, {4, 8, 4}})
      for (const double dropout : {0.0, 0.4})
        for (const bool normed : {false, true}) {
          CAPTURE(window.stride_height, groups, out, channels, dropout, normed);
          auto layer =
              make_grouped<double>(groups, out, channels, window,
                                   {.rank = 4, .alpha = 4, .dropout = dropout, .train_bias = true});
          if (normed)
            layer.set_norm(random_matrix<double>(out, 1, 11).col(0),
                           random_matrix<double>(out, 1, 12).col(0));
          const ImageShape in{2, 4, 5};
          Matrix<double> x = random_matrix<double>(in.rows(), channels, 1), y, dx;
          const Matrix<double> c =
              random_matrix<double>(layer.output_shape(in).rows(), layer.out_channels(), 2);
          Tape<double> tape;
          const auto state = tape.random_state();
          const auto loss = [&] {
            Tape<double> fresh;
            fresh.set_random_state(state);
            layer.forward(x, in, fresh, y);
            return (y.array() * c.array()).sum();
          };
          zero_grad(layer.parameters());
          layer.forward(x, in, tape, y);
          layer.backward(x, in, c, tape, dx);
          CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
          for (Parameter<double>* parameter : layer.parameters()) {
            CAPTURE(parameter->name);
            CHECK(relative_error(parameter->grad, finite_difference(parameter->value, loss)) <
                  1e-6);
          }
        }
}

TEST_CASE("a LoRA convolution in groups keeps the contract of a LoRA layer", "[threads]") {
  for (const auto& [groups, channels] : {std::pair<Index, Index>{4, 20}, {20, 20}}) {
    auto layer = make_grouped<float>(groups, 60, channels, Window::square(3, 1, 1),
                                     {.rank = 20, .dropout = 0.2, .train_bias = true});
    check_lora_layer<false>(OnImages<LoRAConv2d<float>>(std::move(layer), 6, 7), 84);
  }
}

TEST_CASE("adapters of a convolution in groups add up group by group") {
  const Window window = Window::square(3, 1, 1);
  const ImageShape in{1, 4, 4};
  const Matrix<double> x = random_matrix<double>(in.rows(), 4, 1);
  auto layer = make_grouped<double>(2, 6, 4, window, {.rank = 4, .alpha = 4});
  const LoRAAdapter<double> one = layer.adapter();
  const LoRAAdapter<double> other({.rank = 2}, random_matrix<double>(2, 36, 3),
                                  random_matrix<double>(6, 1, 4), 0, 2);
  StackedAdapter<double> stack;
  stack.add(one, 1);
  stack.add(other, -2);
  check_throws<ShapeError>([&] { stack.add(LoRAAdapter<double>(6, 36, {.rank = 4}, 1), 1); },
                           "B is (6, 4), expected (out_features = 6, rank / groups = 2)");
  Matrix<double> y, base, y_one, y_other;
  layer.forward(x, in, y_one);
  layer.replace_adapter(
      LoRAAdapter<double>({.rank = 2, .alpha = 2}, other.a().value, other.b().value, 0, 2));
  layer.forward(x, in, y_other);
  layer.disable_adapter();
  layer.forward(x, in, base);
  layer.enable_adapter();
  layer.replace_adapter(std::move(stack).adapter());
  layer.forward(x, in, y);
  CHECK(largest_difference(y, Matrix<double>(y_one - 2 * (y_other - base))) < 1e-12);
}

TEST_CASE("what a convolution in groups cannot is refused, with the reason") {
  using Conv = LoRAConv2d<float>;
  const Window window = Window::square(3, 1, 1);
  const Matrix<float> w = random_matrix<float>(8, 18, 1);
  check_throws<ConfigError>([&] { Conv(w, window, {}, Groups{3}); },
                            "LoRAConv2d: groups is 3, expected a divisor of out_channels = 8");
  check_throws<ConfigError>([&] { Conv(w, window, {}, Groups{0}); }, "groups is 0");
  check_throws<ConfigError>([&] { Conv(w, window, {.rank = 6}, 1, {}, Groups{4}); },
                            "rank is 6, expected a multiple of groups = 4");
  check_throws<ConfigError>(
      [&] { Conv(w, window, {.rank = 4, .use_dora = true}, 1, {}, Groups{4}); },
      "use_dora is set, but the convolution has groups = 4");
  check_throws<ConfigError>(
      [&] { Conv(w, window, {.rank = 4, .init = LoRAInit::orthogonal}, 1, {}, Groups{4}); },
      "init is orthogonal, which a convolution in groups has no factors for");
  Conv conv(w, window, {.rank = 8}, 1, {}, Groups{4});
  conv.set_name("stem");
  CHECK(conv.in_channels() == 8);
  CHECK(conv.in_features() == 72);
  CHECK(conv.total_parameters() == 8 * 18 + 8 * 72 + 8 * 2);
  CHECK(conv.adapter_tensors({.rank = 8})[1].shape == std::vector<Index>{8, 2, 1, 1});
  CHECK(conv.lora_B().shape() == std::vector<Index>{8, 2, 1, 1});
  check_throws<ConfigError>([&] { conv.add_adapter("other", {.rank = 3}, 1); },
                            "rank is 3, expected a multiple of groups = 4");
  check_throws<ShapeError>(
      [&] { conv.replace_adapter({.rank = 8}, Matrix<float>(8, 72), Matrix<float>(8, 8)); },
      "b is (8, 8), expected (out_features = 8, rank / groups = 2)");
  const char* const reason =
      "A sees the channels of all, so the sum would be a convolution without";
  check_throws<StateError>([&] { conv.merge(); }, reason);
  check_throws<StateError>([&] { static_cast<void>(conv.merged_weight()); }, reason);
  check_throws<StateError>([&] { static_cast<void>(conv.delta_weight()); }, reason);
  check_throws<StateError>([&] { static_cast<void>(conv.weight_in_use()); },
                           "stem (LoRAConv2d::weight_in_use): the convolution has groups = 4");
  conv.disable_adapter();
  CHECK(same_bits(conv.weight_in_use(), w));
  Matrix<float> y;
  check_throws<ShapeError>(
      [&] {
        conv.forward(random_matrix<float>(9, 2, 1), ImageShape{1, 3, 3}, y);
      },
      "x is (9, 2), expected (9, 8)");
}
