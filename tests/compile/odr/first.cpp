#include <lora/lora.hpp>
#ifdef LORA_TEST_IO
#include <lora/io.hpp>
#include <lora/train.hpp>
#endif
#ifdef LORA_TEST_TEXT
#include <lora/text.hpp>
#endif
#ifdef LORA_TEST_GZIP
#include <lora/gzip.hpp>
#endif

float second_unit(lora::LoRALinear<float>& layer);

int main() {
  lora::LoRALinear<float> layer(lora::DenseWeight<float>(lora::Matrix<float>::Identity(2, 2)),
                                {.rank = 1}, 1);
  lora::Matrix<float> y;
  layer.forward(lora::Matrix<float>::Identity(2, 2).eval(), y);
  return y(0, 0) == second_unit(layer) ? 0 : 1;
}
