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

float second_unit(lora::LoRALinear<float>& layer) {
  lora::Tape<float> tape;
  lora::Matrix<float> x = lora::Matrix<float>::Identity(2, 2), y, dx;
  layer.forward(x, tape, y);
  layer.backward(x, y, tape, dx);
  lora::AdamW<float>().step(layer.parameters());
  return y(0, 0);
}
