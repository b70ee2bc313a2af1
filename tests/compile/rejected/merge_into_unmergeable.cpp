// rejected with: WouldLoseTheUpdate
#include <lora/layers/lora_linear.hpp>

// A storage that can multiply but not be written, as a quantised one would be.
struct ReadOnlyWeight {
  using Scalar = float;
  lora::Index out_features() const { return 1; }
  lora::Index in_features() const { return 1; }
  void add_product(lora::ConstMatrixRef<float>, lora::MatrixRef<float>) const {}
  void add_transposed_product(lora::ConstMatrixRef<float>, lora::MatrixRef<float>) const {}
  lora::Matrix<float> dense() const { return lora::Matrix<float>::Zero(1, 1); }
  std::size_t bytes() const { return 0; }
};

#ifdef LORA_ACCEPTED
lora::Matrix<float> finish(lora::LoRALinear<float, ReadOnlyWeight>& layer) {
  return layer.merged_weight();
}
#else
void finish(lora::LoRALinear<float, ReadOnlyWeight>& layer) { layer.merge(); }
#endif
