// rejected with: resize
#include <lora/layers/lora_linear.hpp>

void change(lora::LoRALinear<float>& layer) {
#ifdef LORA_ACCEPTED
  layer.replace_adapter({.rank = 2}, lora::Matrix<float>::Zero(2, layer.in_features()),
                        lora::Matrix<float>::Zero(layer.out_features(), 2));
#else
  layer.lora_A().value.resize(2, layer.in_features());  // B would still have the old rank
#endif
}
