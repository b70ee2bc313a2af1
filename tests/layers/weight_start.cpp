#include <lora/layers/weight_start.hpp>

#include <lora/frozen/half_weight.hpp>
#include <lora/frozen/mapped_weight.hpp>
#include <lora/frozen/packed_weight.hpp>
#include <lora/layers/lora_conv2d.hpp>

#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

template <class Frozen>
void check_starts(Frozen weight) {
  const Matrix<float> w = weight.dense(), x = random_matrix<float>(5, 12, 2);
  for (const bool rslora : {false, true}) {
    const LoRAConfig config{.rank = 4, .alpha = 6, .dropout = 0.1, .use_rslora = rslora};
    for (int kind = 0; kind < 3; ++kind) {
      weight.assign(w);
      LoRALinear<float, Frozen> layer(weight, config, 7);
      layer.set_name("block.0");
      const StartFactors<float> initial = kind == 0   ? start_pissa(layer)
                                          : kind == 1 ? start_pissa(layer, {.power_iterations = 2})
                                                      : start_olora(layer);
      const LoRAInit inits[] = {LoRAInit::pissa, LoRAInit::fast_pissa, LoRAInit::olora};
      LoRAConfig expected = config;
      expected.init = inits[kind];
      CHECK(layer.config() == expected);
      CHECK(layer.adapter().seed() == 7);
      CHECK(same_bits(layer.lora_A().value, initial.a));
      CHECK(same_bits(layer.lora_B().value, initial.b));
      CHECK(layer.lora_A().name == "block.0.lora_A.weight");
      // The layer computes what it did, now with a part of W in the adapter.
      CHECK(largest_difference(layer.merged_weight(), w) < 2e-6);
      CHECK(largest_difference(layer.weight().dense(), w) > 0.1);
      Matrix<float> y;
      layer.forward(x, y);
      CHECK(largest_difference(y, (x * w.transpose()).eval()) < 1e-5);
      check_throws<StateError>([&] { start_olora(layer); },
                               "block.0 (start_olora): the adapter began with ");
    }
  }
}

}  // namespace

TEST_CASE("a layer starts from its weight in every storage that can be written") {
  Matrix<float> w = random_matrix<float>(9, 12, 1), turned = w.transpose();
  check_starts(DenseWeight<float>(w));
  check_starts(PackedWeight<float>(w));
  check_starts(MappedWeight<float>::writable(w.data(), 9, 12));
  check_starts(MappedWeight<float>::writable(turned.data(), 9, 12, Layout::column_major));
}

TEST_CASE("DoRA's norms after a start are those of the weight that is left") {
  LoRALinear<double> layer(DenseWeight<double>(random_matrix<double>(7, 5, 1)),
                           {.rank = 2, .use_dora = true}, 1);
  const Matrix<double> x = random_matrix<double>(3, 5, 2);
  start_pissa(layer);
  const double s = layer.scaling();
  layer.lora_B().value *= 1.5;
  Matrix<double> y;
  layer.forward(x, y);
  const Matrix<double> sum =
      layer.weight().dense() + s * layer.lora_B().value * layer.lora_A().value;
  const Matrix<double> gain =
      layer.lora_magnitude().value.cwiseQuotient(sum.rowwise().norm().transpose());
  CHECK(largest_difference(y, (x * sum.transpose() * gain.row(0).asDiagonal()).eval()) < 1e-12);
  check_throws<StateError>([&] { static_cast<void>(std::move(layer).unload()); },
                           "LoRALinear::unload: the adapter began with pissa");
}

TEST_CASE("a start that the layer cannot take is refused, and nothing has changed") {
  const Matrix<float> w = random_matrix<float>(4, 6, 1);
  const auto refuses = [&]<class Error>(Error, auto layer, const std::string& part) {
    layer.set_name("fc");
    const Matrix<float> before = layer.weight().dense();
    check_throws<Error>([&] { start_pissa(layer); }, part);
    CHECK(same_bits(layer.weight().dense(), before));
    if (layer.has_adapter()) CHECK(layer.config().init == LoRAInit::kaiming);
  };
  using Dense = LoRALinear<float>;
  const LoRAConfig config{.rank = 2};
  const auto dense = [&] { return DenseWeight<float>(w); };
  refuses(ConfigError(""), Dense(dense(), {.rank = 5}, 1), "fc: pissa: rank is 5, expected 1 to 4");
  refuses(ConfigError(""), Dense(dense(), {.rank = 2, .alpha = 0}, 1), "fc: pissa: scaling is 0");
  refuses(StateError(""), Dense(dense()), "fc (start_pissa): no adapter is active");
  refuses(StateError(""),
          LoRALinear<float, MappedWeight<float>>(MappedWeight<float>(w.data(), 4, 6), config, 1),
          "fc (start_pissa): the frozen weight's memory is read-only");
  Dense merged(dense(), config, 1), two(dense(), config, 1), scaled(dense(), config, 1);
  merged.merge();
  refuses(StateError(""), merged, "fc (start_pissa): the adapter is merged");
  two.add_adapter("other", config, 2);
  refuses(StateError(""), two, "fc (start_pissa): the layer has other adapters");
  scaled.set_scale(2);
  refuses(StateError(""), scaled, "fc (start_pissa): set_scale has changed the scaling");
}

TEST_CASE("an adapter cannot be drawn with a start that is of the weight") {
  check_throws<ConfigError>(
      [] {
        LoRALinear<float>(DenseWeight<float>(Matrix<float>::Ones(4, 4)),
                          {.rank = 2, .init = LoRAInit::pissa}, 1);
      },
      "LoRAAdapter: init is pissa, which takes more than a seed");
}

TEST_CASE("an adapter that has part of the weight stays with it") {
  const Matrix<float> w = random_matrix<float>(4, 6, 1);
  LoRALinear<float> layer(DenseWeight<float>(w), {.rank = 2}, 1);
  layer.set_name("fc");
  start_olora(layer);
  const auto refuses = [&](const auto& action, const std::string& part) {
    check_throws<StateError>(action, part);
    CHECK(largest_difference(layer.merged_weight(), w) < 1e-6);
  };
  const std::string needs = ": the adapter began with olora: a part of the weight is in it";
  refuses([&] { layer.disable_adapter(); }, "fc (LoRALinear::disable_adapter)" + needs);
  refuses([&] { layer.unset_adapter(); }, "fc (LoRALinear::unset_adapter)" + needs);
  refuses([&] { layer.delete_adapter("default"); }, "fc (LoRALinear::delete_adapter)" + needs);
  refuses([&] { layer.set_scale(2); }, "fc (LoRALinear::set_scale)" + needs);
  refuses([&] { layer.add_adapter("b", {.rank = 2}, 1); }, "fc (LoRALinear::add_adapter)" + needs);
  const Matrix<float> a = layer.lora_A().value, b = layer.lora_B().value;
  refuses([&] { layer.replace_adapter({.rank = 2}, a, b); },
          "began with olora, rank 2, scaling 2, and this one with kaiming, rank 2, scaling 2");
  refuses([&] { layer.start_from({{a, b}, w}, LoRAInit::pissa); }, "fc (LoRALinear::start_from)");
  layer.replace_adapter({.rank = 2, .dropout = 0.5, .init = LoRAInit::olora}, a, b);
  layer.set_scale(1);

  LoRALinear<float> whole(DenseWeight<float>{w});
  check_throws<StateError>([&] { whole.add_adapter("c", layer.adapter()); },
                           "add_adapter: the adapter began with olora, so it belongs to a changed");
  layer.merge();
  CHECK(largest_difference(std::move(layer).unload().weight.dense(), w) < 1e-6);
}

TEST_CASE("layers of any kind start from their weights, or say that they cannot") {
  const Matrix<float> w = random_matrix<float>(4, 18, 1);
  LoRALinear<float> linear(DenseWeight<float>(w), {.rank = 2}, 1);
  LoRAConv2d<float> conv(w, Window::square(3), {.rank = 2}, 1);
  LoRALinear<float, HalfWeight<float>> half(HalfWeight<float>(w), {.rank = 2}, 1);
  conv.set_name("stem");
  const auto initial = start_olora(AdaptedLayerRef<float>(linear));
  CHECK(same_bits(linear.lora_B().value, initial.b));
  CHECK(linear.config().init == LoRAInit::olora);
  check_throws<ConfigError>([&] { start_olora(AdaptedLayerRef<float>(conv)); },
                            "stem (start_olora): a layer of this kind");
  check_throws<ConfigError>([&] { start_olora(AdaptedLayerRef<float>(half)); },
                            "start_olora: a layer of this kind, or over such a storage");
}
