#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <lora/images.hpp>
#include <lora/lora.hpp>
#include <lora/metrics/predicted_classes.hpp>
#include <lora/models/resnet/resnet_classifier.hpp>
#include <lora/nn/cross_entropy.hpp>
#include <lora/train/batches.hpp>
#include <lora/train/task.hpp>
#include <span>
#include <vector>

#include "problem.hpp"

namespace images_example {

using Model = lora::models::ResNetClassifier<float>;
using lora::train::Batch;

/// Writes the images of these numbers to `batch`, normalised.
inline void fill(const LabelledImages& images, std::span<const Index> numbers,
                 const Preprocessing& how, lora::models::ImageBatch<float>& batch) {
  batch.size = {static_cast<Index>(numbers.size()), images.height, images.width};
  batch.pixels.resize(batch.size.rows(), images.channels);
  const Index each = images.height * images.width;
  for (std::size_t i = 0; i < numbers.size(); ++i)
    lora::images::normalize<float>(
        images.image(numbers[i]), how,
        lora::MatrixRef<float>(batch.pixels.middleRows(static_cast<Index>(i) * each, each)));
}

/// Calls action(batch) for the images in batches of `size`, in their order.
template <class Action>
void for_each_batch(const LabelledImages& images, const Preprocessing& how, Index size,
                    const Action& action) {
  lora::models::ImageBatch<float> batch;
  for (Index first = 0; first < images.size(); first += size) {
    std::vector<Index> numbers;
    for (Index i = first; i < std::min(first + size, images.size()); ++i) numbers.push_back(i);
    fill(images, numbers, how, batch);
    action(batch);
  }
}

/// Returns the class that the logits of each image say, which compute(batch, logits) writes.
template <class Compute>
[[nodiscard]] std::vector<int> classes_by(const LabelledImages& images, const Preprocessing& how,
                                          Index size, const Compute& compute) {
  std::vector<int> answers;
  lora::Matrix<float> logits;
  for_each_batch(images, how, size, [&](const auto& batch) {
    compute(batch, logits);
    const std::vector<int> some = lora::metrics::predicted_classes(logits);
    answers.insert(answers.end(), some.begin(), some.end());
  });
  return answers;
}

/// Returns the class that the model gives each image.
[[nodiscard]] inline std::vector<int> classify(const Model& model, const LabelledImages& images,
                                               const Preprocessing& how, Index size) {
  return classes_by(images, how, size, [&](const auto& batch, lora::Matrix<float>& logits) {
    model.forward(batch, logits);
  });
}

/// Returns the share of `answers` that are the labels, in percent.
[[nodiscard]] inline double percent_right(const std::vector<int>& answers,
                                          const std::vector<int>& labels) {
  std::size_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) right += answers.at(i) == labels[i] ? 1 : 0;
  return 100 * static_cast<double>(right) / static_cast<double>(labels.size());
}

/// A ResNet and the images that it learns: what a lora::train::Trainer trains. Views what it is
/// made from.
class Learner {
 public:
  Learner(Model& model, const LabelledImages& images, const Problem& problem, Index batch,
          std::uint64_t seed)
      : model_(&model), images_(&images), problem_(&problem), batch_size_(batch), seed_(seed) {}

  [[nodiscard]] lora::ParameterList<float> parameters() { return model_->parameters(); }
  [[nodiscard]] lora::ParameterList<float> stored_parameters() {
    return model_->stored_parameters();
  }
  [[nodiscard]] lora::Tape<float>& tape() { return tape_.frames; }

  [[nodiscard]] std::vector<Batch> batches(std::uint64_t epoch) const {
    return lora::train::shuffled_batches(images_->size(), batch_size_, seed_, epoch);
  }

  /// Computes the mean cross entropy of these images, each flipped and moved at random.
  [[nodiscard]] lora::train::BatchLoss loss(const Batch& batch) {
    fill(*images_, batch, problem_->how, plain_);
    moved_.size = plain_.size;
    lora::images::augment<float>(plain_.pixels, plain_.size, problem_->moves, seed_, step_++,
                                 moved_.pixels);
    labels_.clear();
    for (const Index i : batch) labels_.push_back(images_->labels[static_cast<std::size_t>(i)]);
    model_->forward(moved_, tape_, logits_);
    const float loss = lora::cross_entropy<float>(logits_, labels_, dlogits_);
    return {.loss = static_cast<double>(loss),
            .count = static_cast<double>(batch.size()),
            .tokens = static_cast<Index>(batch.size())};
  }

  void backward() { model_->backward(dlogits_, tape_); }

 private:
  Model* model_;
  const LabelledImages* images_;
  const Problem* problem_;
  Index batch_size_;
  std::uint64_t seed_;
  std::uint64_t step_ = 0;
  lora::models::ImageBatch<float> plain_, moved_;
  std::vector<int> labels_;
  lora::models::ImageTape<float> tape_;
  lora::Matrix<float> logits_, dlogits_;
};

}  // namespace images_example
