#include <lora/layers/requantised_layer.hpp>

#include <cmath>
#include <limits>

#include <lora/frozen/four_bit_weight.hpp>

#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

const auto to_nf4 = [](ConstMatrixRef<float> w) { return NF4Weight<float>(w); };
using CodedLayer = LoRALinear<float, NF4Weight<float>>;

}  // namespace

TEST_CASE("a layer's adapter is rounded into its codes with loss, and into W's without") {
  const Index width = 256;
  const Matrix<float> w = random_matrix<float>(width, width, 1);
  CodedLayer layer(NF4Weight<float>(w), {.rank = 8, .alpha = 4}, 1);
  layer.lora_B().value = 0.004F * random_matrix<float>(width, 8, 2);
  layer.lora_A().value = random_matrix<float>(8, width, 3);
  const Matrix<float> d = 0.5F * (layer.lora_B().value * layer.lora_A().value);

  const auto [coarse, lost] = requantised(layer, to_nf4);
  const auto expected = requantised<float>(layer.weight(), d, to_nf4);
  CHECK(coarse.packed() == expected.weight.packed());
  CHECK(std::abs(lost.kept - expected.report.kept) < 1e-4);
  CHECK(lost.kept < 0.1);

  const auto [fine, kept] = requantised_from(w, layer, to_nf4);
  CHECK(std::abs(kept.kept - 1) < 0.2);
  CHECK(largest_difference(
            fine.dense(),
            requantised_from<float>(w, layer.weight(), d, to_nf4).weight.dense().cast<double>()) <
        1e-5);

  // An update of twice the size, by its scaling.
  layer.set_scale(2);
  CHECK(requantised(layer, to_nf4).report.relative_error > lost.relative_error);
}

TEST_CASE("requantising names the layer whose adapter it cannot take") {
  const Matrix<float> w = random_matrix<float>(8, 64, 1);
  CodedLayer layer(NF4Weight<float>(w), {.rank = 2}, 1);
  layer.set_name("model.q_proj");
  layer.disable_adapter();
  check_throws<StateError>([&] { static_cast<void>(requantised(layer, to_nf4)); },
                           "model.q_proj (requantised): the adapter is switched off");
  layer.enable_adapter();
  check_throws<ShapeError>(
      [&] { static_cast<void>(requantised_from(random_matrix<float>(8, 63, 1), layer, to_nf4)); },
      "original is (8, 63)");
  const CodedLayer frozen{NF4Weight<float>(w)};
  check_throws<StateError>([&] { static_cast<void>(requantised_from(w, frozen, to_nf4)); },
                           "no active adapter");
  layer.lora_B().value(0, 1) = std::numeric_limits<float>::quiet_NaN();
  check_throws<StateError>([&] { static_cast<void>(requantised(layer, to_nf4)); },
                           "model.q_proj (requantised): the adapter's update has a number");
  LoRALinear<float> plain(DenseWeight<float>(w), {.rank = 2}, 1);
  plain.merge();
  check_throws<StateError>([&] { static_cast<void>(requantised(plain, to_nf4)); },
                           "requantised: the adapter is merged already");
}
