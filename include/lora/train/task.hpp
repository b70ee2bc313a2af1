#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "lora/core/parameter_list.hpp"
#include "lora/optim/optimizer_state.hpp"
#include "lora/train/accumulation.hpp"
#include "lora/train/batches.hpp"

namespace lora::train {

/// Is satisfied by what a Trainer can train: a model with its data.
///
///     ParameterList<float> parameters();               // what trains
///     std::vector<Batch> batches(std::uint64_t epoch); // of that epoch, from 0: a function of it
///     BatchLoss loss(const Batch&);                    // forward, and the mean loss
///     void backward();                                 // adds that loss's gradients
///     Tape<float>& tape();                             // whose random state a checkpoint keeps
///     double validate();                               // optional: a score on validation data
///     ParameterList<float> stored_parameters();        // optional: see below
///     void run_begins(std::uint64_t epochs, std::uint64_t steps);  // optional: a run begins, or
///                                                      // goes on after so many
///     void run_ends(std::uint64_t epochs, std::uint64_t steps);  // optional: a run ends there
///
/// loss() is the mean over what it counts, and says how much that is, without which no batch goes
/// through the model in parts.
///
/// What moves in training beside what trains, as the statistics of batch norms do that take those
/// of their batches, is in stored_parameters() (a model's own list of that name): checkpoints hold
/// it.
template <class Task>
concept TrainingTask = requires(Task& task, const Batch& batch, std::uint64_t epoch) {
  { task.parameters() } -> ParameterRange;
  { task.batches(epoch) } -> std::same_as<std::vector<Batch>>;
  { task.loss(batch) } -> std::same_as<BatchLoss>;
  task.backward();
  task.tape().set_random_state(task.tape().random_state());
};

/// Is satisfied by a TrainingTask that scores itself on validation data.
template <class Task>
concept ValidatedTask = TrainingTask<Task> && requires(Task& task) {
  { task.validate() } -> std::convertible_to<double>;
};

/// The scalar of a task's parameters.
template <TrainingTask Task>
using ScalarOf = typename std::remove_pointer_t<
    std::decay_t<decltype(*std::declval<Task&>().parameters().begin())>>::Scalar;

/// Lists what a checkpoint holds of a task: its parameters, and of its stored_parameters(), where
/// it has them, those that do not train.
template <TrainingTask Task>
[[nodiscard]] ParameterList<ScalarOf<Task>> checkpoint_parameters(Task& task) {
  ParameterList<ScalarOf<Task>> all;
  for (auto* parameter : task.parameters()) all.add(*parameter);
  if constexpr (requires { task.stored_parameters(); })
    for (auto* parameter : task.stored_parameters())
      if (std::find(all.begin(), all.end(), parameter) == all.end()) all.add(*parameter);
  return all;
}

/// Is satisfied by an optimizer that a Trainer can use: AdamW, SGD, or one of the user's own.
template <class Optimizer, class T>
concept TrainingOptimizer = requires(Optimizer& optimizer, const Optimizer& constant,
                                     const ParameterList<T>& parameters) {
  optimizer.step(parameters);
  optimizer.set_learning_rate(constant.learning_rate());
  { constant.state() } -> std::same_as<OptimizerState<T>>;
  optimizer.set_state(constant.state());
};

}  // namespace lora::train
