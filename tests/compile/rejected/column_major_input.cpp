// rejected with: WouldHaveToBeCopied
#include <lora/layers/lora_linear.hpp>

#ifdef LORA_ACCEPTED
using Input = lora::Matrix<float>;
#else
using Input = Eigen::MatrixXf;  // column-major: looking at it as row-major would need a copy
#endif

void infer(const lora::LoRALinear<float>& layer, const Input& x, lora::Matrix<float>& y) {
  layer.forward(x, y);
}
