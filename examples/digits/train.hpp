#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <lora/lora.hpp>
#include <vector>

#include "data.hpp"
#include "network.hpp"

namespace digits {

/// Says how long and how fast to train.
struct Training {
  int epochs = 30;
  Index batch = 32;
  double learning_rate = 1e-3;
  std::uint64_t seed = 1;  ///< of the order of the images
};

/// What a training took.
struct Cost {
  double seconds = 0;
  std::size_t bytes = 0;  ///< see training_bytes
};

/// Returns the memory that training needs at its peak, counted: all weights (frozen ones too), the
/// gradients and AdamW's two moments of what is trained, the batch x, and the activations with
/// their gradients. All of it lives from the first step to the last. The data set, which is the
/// same for all, and the program itself are left out.
template <class Hidden>
[[nodiscard]] std::size_t training_bytes(Network<Hidden>& network, const Activations<float>& a,
                                         const lora::Matrix<float>& x) {
  const Index trained = lora::count_parameters(network.parameters());
  const Index scalars = network.total_parameters() + 3 * trained + x.size();
  return static_cast<std::size_t>(scalars) * sizeof(float) + a.bytes();
}

/// Trains what `network` lists by AdamW on shuffled batches, the learning rate falling along a
/// cosine; after_epoch() is called after each epoch. The few images that fill no batch wait for
/// the next epoch's order.
template <class Hidden>
Cost train(Network<Hidden>& network, const Samples& samples, const Training& training,
           const std::function<void()>& after_epoch) {
  const auto start = std::chrono::steady_clock::now();
  const Index batch = std::min(training.batch, samples.size());
  const Index batches = samples.size() / batch;
  const lora::Schedule schedule(
      {.decay = lora::Decay::cosine,
       .peak = training.learning_rate,
       .total_steps = static_cast<std::uint64_t>(training.epochs * batches)});
  lora::AdamW<float> optimizer;
  const lora::ParameterList<float> parameters = network.parameters();
  lora::zero_grad(parameters);

  Activations<float> a;
  lora::Matrix<float> x(batch, samples.images.cols());
  std::vector<int> labels(static_cast<std::size_t>(batch));
  std::uint64_t step = 0;
  for (int epoch = 0; epoch < training.epochs; ++epoch) {
    const auto order =
        lora::shuffled(samples.size(), training.seed, static_cast<std::uint64_t>(epoch));
    for (Index first = 0; first < batches * batch; first += batch) {
      for (Index i = 0; i < batch; ++i) {
        const Index from = order[static_cast<std::size_t>(first + i)];
        x.row(i) = samples.images.row(from);
        labels[static_cast<std::size_t>(i)] = samples.labels[static_cast<std::size_t>(from)];
      }
      network.forward(x, a);
      lora::cross_entropy(a.logits, labels, a.dlogits);
      network.backward(x, a);
      optimizer.set_learning_rate(schedule.at(step++));
      optimizer.step(parameters);
      lora::zero_grad(parameters);
    }
    after_epoch();
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  return {seconds.count(), training_bytes(network, a, x)};
}

/// Returns the answers: the class of the largest logit of each row.
[[nodiscard]] inline std::vector<int> answers(const lora::Matrix<float>& logits) {
  std::vector<int> classes;
  for (Index i = 0; i < logits.rows(); ++i) {
    Index best = 0;
    logits.row(i).maxCoeff(&best);
    classes.push_back(static_cast<int>(best));
  }
  return classes;
}

/// Returns the share of right answers, in percent.
[[nodiscard]] inline double accuracy(const lora::Matrix<float>& logits,
                                     const std::vector<int>& labels) {
  const std::vector<int> given = answers(logits);
  int right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) right += given[i] == labels[i] ? 1 : 0;
  return 100.0 * right / static_cast<double>(labels.size());
}

}  // namespace digits
