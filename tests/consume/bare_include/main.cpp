// The engineer's program: wraps a matrix of one's own and trains a step.
#include <lora/lora.hpp>
#include <vector>

int main() {
  const lora::Index in_features = 12, out_features = 5;
  const std::vector<float> data(12 * 5, 0.25F);
  const std::uint64_t seed = 1;
  const lora::Matrix<float> x = lora::Matrix<float>::Constant(4, in_features, 0.5F);
  const std::vector<int> labels{0, 1, 2, 3};
  lora::Matrix<float> y, dy, dx;

  lora::MappedWeight<float> weight(data.data(), out_features, in_features);
  lora::LoRALinear<float, lora::MappedWeight<float>> layer(
      weight, {.rank = 8, .alpha = 16, .dropout = 0.05}, seed);
  lora::AdamW<float> optimizer({.learning_rate = 1e-3});
  lora::Tape<float> tape;

  layer.forward(x, tape, y);
  const float loss = lora::cross_entropy(y, labels, dy);
  layer.backward(x, dy, tape, dx);
  optimizer.step(layer.parameters());

  layer.forward(x, y);
  return lora::cross_entropy(y, labels, dy) < loss ? 0 : 1;
}
