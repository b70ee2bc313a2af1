#include <algorithm>
#include <filesystem>
#include <string>

#include <lora/io/safetensors/safetensors_reader.hpp>
#include <lora/layers/lora_conv1d.hpp>
#include <lora/layers/lora_conv2d.hpp>
#include <lora/layers/lora_embedding.hpp>
#include <lora/peft/adapter.hpp>

#include "support/catch.hpp"
#include "support/golden.hpp"
#include "support/temporary_directory.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

const std::filesystem::path folder = LORA_GOLDEN_DIR "/layers";

// Loads the adapter that PEFT saved, and checks that what is saved then has PEFT's tensors.
template <class Layer>
void check_files(Layer& layer, const std::string& name) {
  layer.set_name("layer");
  const peft::PeftConfig config = peft::load_adapter(folder / name, layer);
  const TemporaryDirectory directory;
  peft::save_adapter(directory.path(), layer, {.config = config});
  const io::SafetensorsReader theirs(folder / name / "adapter_model.safetensors");
  const io::SafetensorsReader ours(directory.path() / "adapter_model.safetensors");
  CHECK(theirs.tensors().size() == ours.tensors().size());
  for (const auto& [key, view] : theirs.tensors()) {
    CAPTURE(key);
    CHECK(ours.tensor(key).shape == view.shape);
    CHECK(ours.tensor(key).dtype == view.dtype);
    CHECK(std::ranges::equal(ours.tensor(key).bytes, view.bytes));
  }
  const auto settings = peft::read_peft_config(directory.path());
  CHECK(settings.layer_config("layer").alpha == config.layer_config("layer").alpha);
}

}  // namespace

TEST_CASE("an embedding's adapter goes from PEFT's file to a layer and back") {
  for (const char* name : {"embedding", "embedding_padding", "embedding_scale", "embedding_dora"}) {
    CAPTURE(name);
    const Golden<double> golden(name, "layers");
    LoRAEmbedding<double> layer(DenseWeight<double>{golden["table"]}, {.rank = 1}, 1);
    check_files(layer, name);
    CHECK(largest_difference(layer.merged_weight(), golden["merged"]) < 1e-14);
  }
}

TEST_CASE("a convolution's adapter goes from PEFT's file to a layer and back") {
  const auto check = [](const char* name, auto layer) {
    CAPTURE(name);
    check_files(layer, name);
    CHECK(largest_difference(layer.merged_weight(), Golden<double>(name, "layers")["merged"]) <
          1e-14);
  };
  const LoRAConfig config{.rank = 1};
  const Golden<double> images("conv2d", "layers"), sequences("conv1d", "layers");
  const Window window{3, 2, 2, 1, 1, 0};
  check("conv2d", LoRAConv2d<double>(images["w"], window, config, 1));
  check("conv1d", LoRAConv1d<double>(sequences["w"], {3, 2, 1}, config, 1));
}

TEST_CASE("the adapter of a convolution in groups goes from PEFT's file to a layer and back") {
  const auto check = [](const char* name, const auto& window, Index rank, Index groups) {
    CAPTURE(name);
    const Golden<double> golden(name, "layers");
    const auto layer_of = [&] {
      const LoRAConfig config{.rank = rank};
      const Vector<double> none;
      if constexpr (requires { window.kernel_height; })
        return LoRAConv2d<double>(golden["w"], window, config, 1, none, Groups{groups});
      else
        return LoRAConv1d<double>(golden["w"], window, config, 1, none, Groups{groups});
    };
    auto layer = layer_of();
    check_files(layer, name);
    CHECK(largest_difference(layer.lora_A().value, golden["a"]) < 1e-6);
    CHECK(largest_difference(layer.lora_B().value, golden["b"]) < 1e-6);
  };
  check("conv2d_groups", Window{3, 2, 2, 1, 1, 0}, 2, 2);
  check("conv2d_depthwise", Window::square(3, 1, 1), 3, 3);
  check("conv1d_groups", Window1d{3, 2, 1}, 4, 4);
}
