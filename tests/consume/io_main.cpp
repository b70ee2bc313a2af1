#include <lora/io.hpp>
#include <lora/lora.hpp>

int main() {
  lora::LoRALinear<float> layer(lora::DenseWeight<float>(lora::Matrix<float>::Identity(2, 2)),
                                {.rank = 1}, 1);
  layer.set_name("q");
  lora::peft::save_adapter("consumer-adapter", layer);
  lora::peft::load_adapter("consumer-adapter", layer);
}
