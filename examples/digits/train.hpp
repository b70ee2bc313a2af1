#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <lora/lora.hpp>
#include <lora/metrics/accuracy.hpp>
#include <lora/metrics/predicted_classes.hpp>
#include <lora/train/trainer.hpp>
#include <vector>

#include "data.hpp"
#include "network.hpp"

namespace digits {

/// How long and how fast to train.
struct Training {
  int epochs = 30;
  Index batch = 32;
  double learning_rate = 1e-3;
  std::uint64_t seed = 1;  ///< of the order of the images
};

/// What a training took.
struct Cost {
  double seconds = 0;
  std::size_t bytes = 0;  ///< see DigitTask::bytes
};

/// A network and the images that it learns from: what a lora::train::Trainer trains.
template <class Hidden>
class DigitTask {
 public:
  /// Views the network, whose listed parameters are trained, and the samples.
  DigitTask(Network<Hidden>& network, const Samples& samples, const Training& training)
      : network_(&network),
        samples_(&samples),
        batch_(std::min(training.batch, samples.size())),
        seed_(training.seed),
        x_(batch_, samples.images.cols()),
        labels_(static_cast<std::size_t>(batch_)) {}

  [[nodiscard]] lora::ParameterList<float> parameters() { return network_->parameters(); }
  [[nodiscard]] lora::Tape<float>& tape() { return a_.tape; }

  /// Shuffles the images; the few that fill no batch wait for the next epoch's order.
  [[nodiscard]] std::vector<lora::train::Batch> batches(std::uint64_t epoch) const {
    auto all = lora::train::shuffled_batches(samples_->size(), batch_, seed_, epoch);
    if (static_cast<Index>(all.back().size()) < batch_) all.pop_back();
    return all;
  }

  /// Computes the mean cross entropy of these images.
  [[nodiscard]] lora::train::BatchLoss loss(const lora::train::Batch& batch) {
    for (std::size_t i = 0; i < batch.size(); ++i) {
      x_.row(static_cast<Index>(i)) = samples_->images.row(batch[i]);
      labels_[i] = samples_->labels[static_cast<std::size_t>(batch[i])];
    }
    network_->forward(x_, a_);
    const float loss = lora::cross_entropy(a_.logits, labels_, a_.dlogits);
    return {.loss = static_cast<double>(loss), .count = static_cast<double>(batch.size())};
  }

  void backward() { network_->backward(x_, a_); }

  /// Returns the memory that training needs at its peak, counted: all weights (frozen ones too),
  /// the gradients and AdamW's two moments of what is trained, the batch x, and the activations
  /// with their gradients. All of it lives from the first step to the last. The data set, which is
  /// the same for all, and the program itself are left out.
  [[nodiscard]] std::size_t bytes() {
    const Index trained = lora::count_parameters(network_->parameters());
    const Index scalars = network_->total_parameters() + 3 * trained + x_.size();
    return static_cast<std::size_t>(scalars) * sizeof(float) + a_.bytes();
  }

 private:
  Network<Hidden>* network_;
  const Samples* samples_;
  Index batch_;
  std::uint64_t seed_;
  lora::Matrix<float> x_;
  std::vector<int> labels_;
  Activations<float> a_;
};

/// Trains what `network` lists by AdamW on shuffled batches, the learning rate falling along a
/// cosine; after_epoch() is called after each epoch.
template <class Hidden>
Cost train(Network<Hidden>& network, const Samples& samples, const Training& training,
           const std::function<void()>& after_epoch) {
  const auto start = std::chrono::steady_clock::now();
  DigitTask task(network, samples, training);
  lora::train::Trainer trainer(
      task, lora::AdamW<float>({.learning_rate = training.learning_rate}),
      {.epochs = training.epochs, .decay = lora::Decay::cosine, .warmup = 0, .max_norm = 0});
  trainer.run({.epoch_is_done = [&](const lora::train::EpochResult&) { after_epoch(); }});
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return {seconds.count(), task.bytes()};
}

/// Returns the share of right answers, in percent.
[[nodiscard]] inline double accuracy(const lora::Matrix<float>& logits,
                                     const std::vector<int>& labels) {
  lora::metrics::Accuracy accuracy;
  accuracy.add(labels, lora::metrics::predicted_classes(logits));
  return 100 * accuracy.value();
}

}  // namespace digits
