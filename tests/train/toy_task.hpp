#pragma once

#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

#include <lora/frozen/dense_weight.hpp>
#include <lora/layers/lora_linear.hpp>
#include <lora/nn/cross_entropy.hpp>
#include <lora/train/task.hpp>

#include "support/random_matrix.hpp"

namespace lora::test {

/// A LoRA layer that fits random numbers, a row each example, of which some have no label. It has
/// dropout, so that the tape counts; its scores are what a test wants them to be.
class ToyTask {
 public:
  explicit ToyTask(std::vector<double> scores = {}) : scores_(std::move(scores)) {
    layer.set_name("layer");
    layer.lora_B().value = random_matrix<float>(3, 2, 4);
  }

  [[nodiscard]] ParameterList<float> parameters() { return layer.parameters(); }
  [[nodiscard]] Tape<float>& tape() { return tape_; }

  [[nodiscard]] std::vector<train::Batch> batches(std::uint64_t epoch) const {
    return train::shuffled_batches(20, batch_size, seed, epoch);
  }

  [[nodiscard]] train::BatchLoss loss(const train::Batch& batch) {
    x_.resize(static_cast<Index>(batch.size()), 5);
    std::vector<int> labels;
    double count = 0;
    for (std::size_t i = 0; i < batch.size(); ++i) {
      x_.row(static_cast<Index>(i)) = examples_.row(batch[i]);
      labels.push_back(batch[i] % 4 == 3 ? -100 : static_cast<int>(batch[i] % 3));
      count += labels.back() >= 0 ? 1 : 0;
    }
    Matrix<float> y;
    layer.forward(x_, tape_, y);
    const float loss = cross_entropy(y, labels, dy_);
    return {.loss = spoilt_step == ++steps_ ? std::nan("") : static_cast<double>(loss),
            .count = count,
            .tokens = static_cast<Index>(batch.size())};
  }

  void backward() {
    layer.backward(x_, dy_, tape_);
    if (spoilt_gradient_step == steps_)
      layer.lora_B().grad.setConstant(std::numeric_limits<float>::infinity());
  }

  [[nodiscard]] double validate() {
    return validated_ < scores_.size() ? scores_[validated_++] : 0;
  }

  LoRALinear<float> layer{
      DenseWeight<float>(random_matrix<float>(3, 5, 1)), {.rank = 2, .dropout = 0.3}, 7};
  Index batch_size = 8;
  std::uint64_t seed = 1;
  int spoilt_step = 0;           ///< whose loss is no number; 0: none
  int spoilt_gradient_step = 0;  ///< whose gradient is infinite; 0: none

 private:
  Matrix<float> examples_ = random_matrix<float>(20, 5, 2);
  Matrix<float> x_, dy_;
  Tape<float> tape_;
  std::vector<double> scores_;
  std::size_t validated_ = 0;
  int steps_ = 0;
};

}  // namespace lora::test
