#include <lora/layers/plain_adapter.hpp>

#include <lora/layers/weight_start.hpp>

#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("what was trained over a changed weight becomes an adapter for W itself") {
  const Matrix<double> w = random_matrix<double>(5, 8, 1);
  const Vector<double> bias = random_matrix<double>(5, 1, 2);
  for (const bool rslora : {false, true}) {
    const LoRAConfig config{
        .rank = 3, .alpha = 4, .dropout = 0.1, .use_rslora = rslora, .train_bias = true};
    LoRALinear<double> layer(DenseWeight<double>(w), config, 1, bias);
    layer.set_name("fc");
    const auto initial = start_olora(layer);
    layer.lora_A().value += random_matrix<double>(3, 8, 3);
    layer.lora_B().value += random_matrix<double>(5, 3, 4);

    const PlainAdapter<double> plain(layer, initial);
    CHECK(plain.name() == "fc");
    CHECK(plain.config().rank == 6);
    CHECK(plain.config().init == LoRAInit::kaiming);
    CHECK(std::abs(plain.config().scaling() - config.scaling()) < 1e-15);
    LoRALinear<double> over_w(DenseWeight<double>(w), config, 1, bias);
    over_w.replace_adapter(plain.adapter());
    CHECK(largest_difference(over_w.merged_weight(), layer.merged_weight()) < 1e-13);

    const auto tensors = AdaptedLayerView<double>(plain).tensors(plain.config());
    REQUIRE(tensors.size() == 3);
    CHECK(tensors[0].shape == std::vector<Index>{6, 8});
    CHECK(tensors[1].shape == std::vector<Index>{5, 6});
    CHECK(tensors[0].parameter == &plain.adapter().a());
    CHECK(tensors[1].parameter == &plain.adapter().b());
    CHECK(tensors[2].parameter == &layer.bias());
  }
}

TEST_CASE("only what was trained over a changed weight is converted") {
  const Matrix<float> w = random_matrix<float>(5, 8, 1);
  LoRALinear<float> layer(DenseWeight<float>(w), {.rank = 3}, 1);
  layer.set_name("fc");
  const StartFactors<float> zeros{Matrix<float>::Zero(3, 8), Matrix<float>::Zero(5, 3)};
  check_throws<ConfigError>([&] { PlainAdapter<float>(layer, zeros); },
                            "fc (PlainAdapter): the adapter's start is kaiming");
  start_olora(layer);
  const StartFactors<float> other{Matrix<float>::Zero(2, 8), Matrix<float>::Zero(5, 2)};
  check_throws<ShapeError>([&] { PlainAdapter<float>(layer, other); },
                           "fc (PlainAdapter): initial.a is (2, 8)");
}
