// rejected with: backward
#include <lora/core/gradients.hpp>
#include <lora/layers/lora_linear.hpp>

// Threads that share a layer see it as const, and give gradients of their own.
void train(const lora::LoRALinear<float>& layer, const lora::Matrix<float>& x,
           const lora::Matrix<float>& dy, lora::Tape<float>& tape,
           [[maybe_unused]] lora::Gradients<float>& gradients, lora::Matrix<float>& dx) {
#ifdef LORA_ACCEPTED
  layer.backward(x, dy, tape, gradients, dx);
#else
  layer.backward(x, dy, tape, dx);
#endif
}
