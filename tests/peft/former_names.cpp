#include <lora/layers/lora_linear.hpp>
#include <lora/peft/former_names.hpp>

#include <concepts>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

using namespace lora::test;

static_assert(std::same_as<lora::io::PeftConfig, lora::peft::PeftConfig>);

TEST_CASE("a program of 0.1 saves and loads its adapter under the names of then") {
  const TemporaryDirectory directory;
  const auto make = [](std::uint64_t seed) {
    return lora::LoRALinear<float>(lora::DenseWeight<float>(lora::Matrix<float>::Ones(3, 4)),
                                   {.rank = 2}, seed);
  };
  lora::LoRALinear<float> layer(make(1)), again(make(2));
  layer.set_name("query");
  again.set_name("query");
  lora::io::save_adapter(directory.path(), layer, lora::io::AdapterSaveOptions<float>{});
  CHECK(lora::io::load_adapter(directory.path(), again).r == 2);
  CHECK(again.lora_A().value == layer.lora_A().value);
  CHECK(lora::io::read_peft_config(directory.path()).r == 2);
  CHECK(std::filesystem::exists(directory / lora::io::adapter_config_file));
  CHECK(std::filesystem::exists(directory / lora::io::adapter_weights_file));
}
