#include <lora/layers/lora_over_weight.hpp>

#include <lora/frozen/four_bit_weight.hpp>
#include <lora/frozen/half_weight.hpp>
#include <lora/layers/lora_conv2d.hpp>
#include <lora/layers/lora_linear.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"

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
  CHECK(conv.trainable_parameters() == 2 * (18 + 4));
  CHECK(conv.total_parameters() == 4 * 18 + 2 * (18 + 4));
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
