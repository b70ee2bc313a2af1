#include <lora/peft/shape_factors.hpp>

#include <lora/layers/lora_conv2d.hpp>
#include <lora/peft/adapter_reader.hpp>
#include <lora/peft/values_writer.hpp>

#include "peft/small_adapter.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::peft;
using namespace lora::test;

TEST_CASE("matrices of a convolution get a plain adapter's shapes, and its layer loads them") {
  AdapterValues<float> adapter;
  adapter.config.r = 2;
  adapter.config.lora_alpha = 4;
  adapter.config.target_modules = std::vector<std::string>{"conv", "fc"};
  adapter.modules.emplace("conv", small_factors(4, 2, 12, 4, 1));
  adapter.modules.emplace("fc", small_factors(4, 2, 12, 4, 2));
  io::TensorView kernel{.dtype = io::DType::F32, .shape = {4, 3, 2, 2}, .bytes = {}},
      matrix{.dtype = io::DType::F32, .shape = {4, 12}, .bytes = {}};
  const auto base = [&](const std::string& name) -> const io::TensorView* {
    return name == "conv.weight" ? &kernel : name == "fc.weight" ? &matrix : nullptr;
  };
  kernel.shape = {4, 3, 3, 3};
  check_throws<ShapeError>(
      [&] { shape_factors(adapter, base); },
      "A and B of \"conv\" are (2, 12) and (4, 2), and its kernel is (4, 3, 3");
  CHECK(adapter.modules.at("conv").a.shape == io::Shape{2, 12});
  kernel.shape = {4, 3, 2, 2};
  shape_factors(adapter, base);
  CHECK(adapter.modules.at("conv").a.shape == io::Shape{2, 3, 2, 2});
  CHECK(adapter.modules.at("conv").b.shape == io::Shape{4, 2, 1, 1});
  CHECK(adapter.modules.at("fc").a.shape == io::Shape{2, 12});

  adapter.modules.erase("fc");
  const TemporaryDirectory directory;
  save_adapter(directory.path(), adapter);
  LoRAConv2d<float> layer(Matrix<float>(Matrix<float>::Zero(4, 12)), Window::square(2), {.rank = 2},
                          1);
  layer.set_name("conv");
  load_adapter(directory.path(), layer);
  CHECK(same_bits(layer.lora_A().value, adapter.modules.at("conv").a.value));
  CHECK(same_bits(layer.lora_B().value, adapter.modules.at("conv").b.value));
}
