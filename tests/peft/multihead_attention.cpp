#include <algorithm>
#include <filesystem>

#include <lora/io/safetensors/safetensors_reader.hpp>
#include <lora/layers/lora_multihead_attention.hpp>
#include <lora/peft/adapter.hpp>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

const std::filesystem::path attention_folder = LORA_GOLDEN_DIR "/attention";

LoRAMultiheadAttention<double> golden_attention(const io::SafetensorsReader& golden) {
  const auto linear = [&](const char* weight, const char* bias) {
    return LoRALinear<double>(DenseWeight<double>{golden.read<double>(weight)}, {.rank = 1}, 1,
                              golden.read<double>(bias).reshaped());
  };
  LoRAMultiheadAttention<double> layer(linear("in_proj_weight", "in_proj_bias"),
                                       linear("out_proj.weight", "out_proj.bias"), {.heads = 2});
  layer.set_name("attn");
  return layer;
}

}  // namespace

TEST_CASE(
    "PEFT's adapter of a MultiheadAttention is loaded, computes PEFT's numbers, and is saved") {
  const io::SafetensorsReader golden(attention_folder / "layer.safetensors");
  auto layer = golden_attention(golden);
  const peft::PeftConfig config = peft::load_adapter(attention_folder / "adapter", layer);
  CHECK(layer.part(0).config().rank == 3);  // by the pattern of "attn"
  CHECK(layer.part(1).config().rank == 3);

  const std::vector<int> lengths{4, 3};
  const Sequences sequences = Sequences::packed(lengths);
  const Matrix<double> x = golden.read<double>("x"), dy = golden.read<double>("dy");
  Matrix<double> y, dx;
  Tape<double> tape;
  layer.forward(x, sequences, tape, y);
  CHECK(largest_difference(y, golden.read<double>("y")) < 1e-12);
  layer.backward(x, sequences, dy, tape, dx);
  CHECK(largest_difference(dx, golden.read<double>("dx")) < 1e-12);
  // Of out_proj PEFT computes with twice the update that it takes gradients of.
  for (Parameter<double>* parameter : layer.parameters()) {
    CAPTURE(parameter->name);
    const double factor = parameter->name.find("out_proj") != std::string::npos ? 2 : 1;
    CHECK(largest_difference(parameter->grad,
                             factor * golden.read<double>("grad." + parameter->name)) < 1e-12);
  }

  // With PEFT's settings and with ones made from the layers.
  for (const bool keep : {true, false}) {
    const TemporaryDirectory directory;
    peft::save_adapter(directory.path(), layer,
                       {.config = keep ? std::optional(config) : std::nullopt});
    const io::SafetensorsReader theirs(attention_folder / "adapter" / "adapter_model.safetensors");
    const io::SafetensorsReader ours(directory.path() / "adapter_model.safetensors");
    CHECK(theirs.tensors().size() == ours.tensors().size());
    for (const auto& [key, view] : theirs.tensors()) {
      CAPTURE(key);
      CHECK(ours.tensor(key).shape == view.shape);
      CHECK(std::ranges::equal(ours.tensor(key).bytes, view.bytes));
    }
    const auto settings = peft::read_peft_config(directory.path());
    const peft::ModuleRules rules(settings);
    CHECK(rules.is_targeted("attn"));
    CHECK_FALSE(rules.is_targeted("attn.out_proj"));
    CHECK(settings.layer_config("attn.base_layer.out_proj").rank == 3);
    auto again = golden_attention(golden);
    peft::load_adapter(directory.path(), again);
    Matrix<double> same;
    again.forward(x, sequences, same);
    CHECK(largest_difference(same, y) < 1e-12);
  }
}

TEST_CASE("a MultiheadAttention's file with lora_bias, which PEFT computes without, is refused") {
  const io::SafetensorsReader golden(attention_folder / "layer.safetensors");
  auto layer = golden_attention(golden);
  // Two layers of their own write what PEFT would.
  const LoRAConfig config{.rank = 1, .lora_bias = true};
  LoRALinear<double> first(DenseWeight<double>{Matrix<double>::Zero(18, 6)}, config, 1);
  LoRALinear<double> second(DenseWeight<double>{Matrix<double>::Zero(6, 6)}, config, 1);
  first.set_name("attn");
  second.set_name("attn.base_layer.out_proj");
  const TemporaryDirectory directory;
  const std::vector<AdaptedLayerView<double>> layers{first, second};
  peft::save_adapter<double>(directory.path(), layers);
  check_throws<ConfigError>([&] { peft::load_adapter(directory.path(), layer); },
                            "lora_bias is set, which PEFT does not have");
  CHECK_FALSE(layer.part(0).config().lora_bias);
}

TEST_CASE("projections of one MultiheadAttention whose settings differ are not saved") {
  const io::SafetensorsReader golden(attention_folder / "layer.safetensors");
  auto layer = golden_attention(golden);
  layer.part(1).replace_adapter({.rank = 2}, Matrix<double>::Ones(2, 6),
                                Matrix<double>::Ones(6, 2));
  const TemporaryDirectory directory;
  check_throws<ConfigError>([&] { peft::save_adapter(directory.path() / "none", layer); },
                            "\"attn.base_layer.out_proj\" differs in rank or alpha from \"attn\"");
  CHECK_FALSE(std::filesystem::exists(directory.path() / "none"));
}
