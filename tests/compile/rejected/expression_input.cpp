// rejected with: WouldHaveToBeCopied
#include <lora/layers/lora_linear.hpp>

void infer(const lora::LoRALinear<float>& layer, const lora::Matrix<float>& x,
           lora::Matrix<float>& y) {
#ifdef LORA_ACCEPTED
  const lora::Matrix<float> doubled = 2 * x;
  layer.forward(doubled, y);
#else
  layer.forward(2 * x, y);  // has no memory to look at
#endif
}
