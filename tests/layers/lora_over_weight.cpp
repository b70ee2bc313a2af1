#include <lora/layers/lora_over_weight.hpp>

#include <lora/frozen/four_bit_weight.hpp>
#include <lora/frozen/half_weight.hpp>
#include <lora/layers/lora_conv2d.hpp>
#include <lora/layers/lora_linear.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("layers over a weight name their own kind in what they refuse") {
  const Matrix<float> w = random_matrix<float>(4, 18, 1);
  LoRALinear<float> linear(DenseWeight<float>(w), {.rank = 2}, 1);
  LoRAConv2d<float> conv(w, Window::square(3), {.rank = 2}, 1);
  linear.merge();
  conv.merge();
  check_throws<StateError>([&] { linear.merge(); }, "LoRALinear::merge: the adapter is merged");
  check_throws<StateError>([&] { conv.merge(); }, "LoRAConv2d::merge: the adapter is merged");
  conv.unmerge();
  conv.set_name("stem");
  check_throws<StateError>([&] { conv.unmerge(); },
                           "stem (LoRAConv2d::unmerge): the adapter is not merged");
  check_throws<ConfigError>([&] { conv.set_train_bias(true); }, "there is no bias");
  check_throws<ConfigError>(
      [&] { LoRAConv2d<float>(w, Window::square(3), {.rank = 2, .freeze_a = true}, 1); },
      "LoRAConv2d: freeze_a is set, which only a LoRALinear can");
  CHECK(conv.trainable_parameters() == 2 * (18 + 4));
  CHECK(conv.total_parameters() == 4 * 18 + 2 * (18 + 4));
}

TEST_CASE("an adapter's update is what it adds to the weight") {
  const Matrix<double> w = random_matrix<double>(4, 18, 1);
  const auto check = [&](auto layer, const char* kind) {
    layer.lora_B().value = random_matrix<double>(4, 2, 2);
    layer.set_name("x");
    const Matrix<double> before = layer.weight().dense(), sum = before + layer.delta_weight();
    layer.merge();
    CHECK(largest_difference(layer.weight().dense(), sum) < 1e-12);
    CHECK(largest_difference(before + layer.delta_weight(), sum) < 1e-12);
    layer.unmerge();
    layer.disable_adapter();
    check_throws<StateError>([&] { static_cast<void>(layer.delta_weight()); },
                             message("x (", kind, "::delta_weight): the adapter is switched off"));
  };
  check(LoRALinear<double>(DenseWeight<double>(w), {.rank = 2, .alpha = 3}, 1), "LoRALinear");
  check(LoRAConv2d<double>(w, Window::square(3), {.rank = 2, .alpha = 3}, 1), "LoRAConv2d");
}

namespace {

template <class Layer>
concept Merges = requires(Layer& layer) {
  layer.merge();
};

}  // namespace

TEST_CASE(
    "an adapter is not merged into a storage that would round it away: no such call compiles") {
  static_assert(Merges<LoRALinear<float>>);
  static_assert(!Merges<LoRALinear<float, HalfWeight<float>>>);
  static_assert(!Merges<LoRALinear<double, NF4Weight<double>>>);
  static_assert(WouldLoseTheUpdate<NF4Weight<float>, float>);
  static_assert(!WouldLoseTheUpdate<DenseWeight<float>, float>);
  const LoRALinear<float, NF4Weight<float>> layer(NF4Weight<float>(random_matrix<float>(4, 64, 1)),
                                                  {.rank = 2}, 1);
  CHECK_FALSE(layer.merged());
}
