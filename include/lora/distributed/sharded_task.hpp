#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/distributed/meeting.hpp"
#include "lora/distributed/mpi.hpp"
#include "lora/distributed/shard_sum.hpp"
#include "lora/distributed/sum_over_ranks.hpp"
#include "lora/train/accumulation.hpp"
#include "lora/train/batches.hpp"
#include "lora/train/task.hpp"

namespace lora::distributed {

/// How batches are divided among ranks.
struct ShardOptions {
  /// Pieces of every batch, a power of two, and a multiple of the number of ranks. It decides the
  /// bits of the result, which the number of ranks does not.
  Index shards = 8;
  Index part_size = 0;  ///< examples of a shard that go through the model at once; 0: all of them
};

/// Returns shard `shard` of `shards` of a batch: its elements shard, shard + shards, ..., so that
/// batches sorted by length are divided evenly. A batch of fewer examples leaves some shards empty.
[[nodiscard]] inline train::Batch shard_of(const train::Batch& batch, Index shard, Index shards) {
  train::Batch some;
  for (auto i = static_cast<std::size_t>(shard); i < batch.size();
       i += static_cast<std::size_t>(shards))
    some.push_back(batch[i]);
  return some;
}

/// A task whose batches several ranks compute together: what a Trainer on each of them trains, with
/// the same options, and with the same result as on one.
///
///     ShardedTask task(own_task, ranks, {.shards = 8});
///     Trainer trainer(task, AdamW<float>({.learning_rate = 1e-3}), options_of_rank({...}, task));
///     const History history = trainer.run();
///
/// A batch is cut into S shards, whatever the number of ranks, and each rank computes S / R of them
/// one by one. The gradient of the mean over the batch is their mean, weighted by what counts in
/// each, along one binary tree over the shards: the ranks merge the subtrees of theirs, and by
/// messages the rest (sum_over_ranks). So adapters, losses, norms and checkpoints have the same
/// bits on 1, 2, 4 ... S ranks. Dropout masks are functions of the shard and the row in it: a tape
/// of stream t draws for shard s from stream S t + s. With one shard everything is as without this.
///
/// Rank 0 alone validates, and all take its score. Ranks that do not make the same calls, as where
/// one has resumed and another has not, all throw. Views the task and the ranks, which must outlive
/// it. One thread at a time.
template <train::TrainingTask Task>
class ShardedTask {
 public:
  using T = train::ScalarOf<Task>;

  /// Throws ConfigError, before any message, unless the shards are a power of two that the number
  /// of ranks divides, for a part_size below 0, and for a task with something that moves without
  /// being trained, as statistics of batch norms do: shards would each see their own.
  ShardedTask(Task& task, const Communicator& ranks, ShardOptions options = {})
      : task_(&task), ranks_(&ranks), options_(options) {
    const auto fail = [](const auto&... what) {
      throw ConfigError(message("ShardedTask: ", what...));
    };
    const Index shards = options_.shards;
    if (shards < 1 || !std::has_single_bit(static_cast<std::uint64_t>(shards)))
      fail("shards is ", shards, ", expected a power of two");
    if (shards % ranks.size() != 0)
      fail("a batch has ", shards, " shards, expected a multiple of the ", ranks.size(), " ranks");
    if (options_.part_size < 0)
      fail("part_size is ", options_.part_size, ", expected 0 (whole shards) or more");
    if (shards > 1)
      for (const auto* parameter : train::checkpoint_parameters(task))
        if (!is_trained(*parameter))
          fail("stored_parameters() has \"", parameter->name,
               "\", which moves without a gradient: each shard would move its own; freeze it");
    const auto own = static_cast<std::uint64_t>(shards / ranks.size());
    nodes_.resize(static_cast<std::size_t>(std::bit_width(own)));
  }
  ShardedTask(Task&, const Communicator&&, ShardOptions = {}) = delete;  // it would dangle

  /// Returns what the task trains.
  [[nodiscard]] ParameterList<T> parameters() { return task_->parameters(); }

  /// Returns the tape of the task.
  [[nodiscard]] auto& tape() { return task_->tape(); }

  /// Returns the batches of that epoch, all ranks the same ones. Throws ConfigError on each where
  /// they differ in their number, StateError where some do something else.
  [[nodiscard]] std::vector<train::Batch> batches(std::uint64_t epoch) {
    std::vector<train::Batch> all = task_->batches(epoch);
    meet({.call = JointCall::batches});
    ranks_->require_same(all.size(), "the batches of an epoch");
    return all;
  }

  /// Computes the mean loss of the whole batch, and keeps its gradients for backward(): all of it
  /// happens here, the messages too. Gradients that stood there before stay. Throws what the task
  /// throws, StateError for a loss that is not finite or has no count, and where ranks are found to
  /// differ, on all of them, MpiError. Gradients and the tape's random state are then as before.
  /// What the task throws on one rank leaves the others waiting: see run_on_ranks.
  [[nodiscard]] train::BatchLoss loss(const train::Batch& batch) {
    has_gradient_ = false;
    const ParameterList<T> parameters = task_->parameters();
    const auto size = static_cast<std::size_t>(count_parameters(parameters));
    for (Node& node : nodes_) node.gradient.resize(size);
    before_.resize(size);
    room_.resize((size + 1) / 2);
    copy_gradient(parameters, before_);
    const auto state = task_->tape().random_state();
    const std::uint64_t check = check_of(batch, parameters);

    const Index own = options_.shards / ranks_->size();
    std::size_t depth = 0;
    try {
      for (Index i = 0; i < own; ++i) {
        compute(batch, ranks_->rank() * own + i, state, parameters, nodes_[depth++]);
        // As many subtrees are complete as i + 1 is divisible by two.
        for (Index complete = i + 1; complete % 2 == 0; complete /= 2, --depth)
          merge(nodes_[depth - 2], nodes_[depth - 1]);
      }
    } catch (...) {
      set_gradient(parameters, before_);
      task_->tape().set_random_state(state);
      throw;
    }
    set_gradient(parameters, before_);
    task_->tape().set_random_state(state);
    Node& all = nodes_.front();
    sum_over_ranks<T>(*ranks_, all.sum, all.gradient, room_, check);
    auto next = state;
    next.step += passes(batch);
    task_->tape().set_random_state(next);
    has_gradient_ = true;
    train::BatchLoss result{.loss = all.sum.mean, .count = {}, .tokens = all.sum.tokens};
    if (counted_) result.count = all.sum.count;
    return result;
  }

  /// Adds the gradients of the loss that was computed last. Throws StateError where there is none.
  void backward() {
    if (!has_gradient_)
      throw StateError("ShardedTask::backward: expected a call of loss before each");
    has_gradient_ = false;
    std::size_t at = 0;
    for (Parameter<T>* parameter : task_->parameters()) {
      parameter->grad += view(*parameter, nodes_.front().gradient, at);
      at += static_cast<std::size_t>(parameter->size());
    }
  }

  /// Lets all ranks begin a run, or go on with one, after as many epochs and steps. A Trainer calls
  /// this. Throws StateError on each where they do not: some have resumed and others have not, or
  /// from another checkpoint.
  void run_begins(std::uint64_t epochs, std::uint64_t steps) {
    meet({.call = JointCall::beginning, .epochs = epochs, .steps = steps});
  }

  /// Waits until all ranks have come to the end of the run. A Trainer calls this. Throws StateError
  /// on each where some are elsewhere.
  void run_ends(std::uint64_t epochs, std::uint64_t steps) {
    meet({.call = JointCall::ending, .epochs = epochs, .steps = steps});
  }

  /// Returns rank 0's score, while which the others wait. Throws StateError on each where some do
  /// something else.
  [[nodiscard]] double validate() requires train::ValidatedTask<Task> {
    meet({.call = JointCall::validation});
    return ranks_->from_leader(ranks_->leads() ? static_cast<double>(task_->validate()) : 0.0);
  }

  /// Returns the ranks that compute, and how batches are divided among them.
  [[nodiscard]] const Communicator& ranks() const { return *ranks_; }
  [[nodiscard]] const ShardOptions& options() const { return options_; }

 private:
  // The root of a subtree of shards.
  struct Node {
    ShardSum sum;
    std::vector<T> gradient;  // of the mean, all parameters one after the other
  };

  void meet(const JointPlace& place) const { Meeting(*ranks_, place).hold(); }

  static Eigen::Map<Matrix<T>> view(const Parameter<T>& parameter, std::vector<T>& all,
                                    std::size_t at) {
    return {all.data() + at, parameter.grad.rows(), parameter.grad.cols()};
  }

  static void copy_gradient(const ParameterList<T>& parameters, std::vector<T>& to) {
    std::size_t at = 0;
    for (const Parameter<T>* parameter : parameters) {
      view(*parameter, to, at) = parameter->grad;
      at += static_cast<std::size_t>(parameter->size());
    }
  }

  static void set_gradient(const ParameterList<T>& parameters, std::vector<T>& from) {
    std::size_t at = 0;
    for (Parameter<T>* parameter : parameters) {
      parameter->grad = view(*parameter, from, at);
      at += static_cast<std::size_t>(parameter->size());
    }
  }

  static void merge(Node& left, Node& right) {
    merge_gradient<T>(left.gradient, left.sum, right.gradient, right.sum);
    left.sum = merged(left.sum, right.sum);
  }

  [[nodiscard]] bool is_trained(const Parameter<T>& parameter) {
    const ParameterList<T> trained = task_->parameters();
    return std::find(trained.begin(), trained.end(), &parameter) != trained.end();
  }

  // How many passes a shard's masks are counted for: as many as the largest shard has parts.
  [[nodiscard]] std::uint64_t passes(const train::Batch& batch) const {
    const auto shards = static_cast<std::uint64_t>(options_.shards);
    const auto part = static_cast<std::uint64_t>(options_.part_size);
    const std::uint64_t largest = (batch.size() + shards - 1) / shards;
    return part == 0 ? 1 : std::max<std::uint64_t>(1, (largest + part - 1) / part);
  }

  template <class RandomState>
  void compute(const train::Batch& batch, Index shard, RandomState state,
               const ParameterList<T>& parameters, Node& node) {
    state.stream = state.stream * static_cast<std::uint64_t>(options_.shards) +
                   static_cast<std::uint64_t>(shard);
    task_->tape().set_random_state(state);
    node.sum = {};
    train::Accumulation<T> accumulation(parameters);
    const train::Batch examples = shard_of(batch, shard, options_.shards);
    if (!examples.empty())
      for (const train::Batch& part : train::parts_of(examples, options_.part_size)) {
        const train::BatchLoss loss = task_->loss(part);
        counted_ = loss.count.has_value();
        if (!counted_ && options_.shards > 1)
          throw StateError(
              "ShardedTask: the loss of a shard has no count, expected how many losses its mean is "
              "over");
        accumulation.add(loss);
        task_->backward();
        node.sum.tokens += loss.tokens;
      }
    node.sum.mean = accumulation.finish();
    node.sum.count = accumulation.count();
    copy_gradient(parameters, node.gradient);
  }

  // FNV-1a, by words of eight bytes.
  static std::uint64_t add_to_check(std::uint64_t check, const void* data, std::size_t bytes) {
    const auto* from = static_cast<const char*>(data);
    for (std::size_t at = 0; at < bytes; at += sizeof check) {
      std::uint64_t word = 0;
      std::memcpy(&word, from + at, std::min(sizeof word, bytes - at));
      check = (check ^ word) * 0x100000001B3;
      check ^= check >> 32;  // the upper bits of a word would stay in the upper bits
    }
    return check;
  }

  // Stands for all in which ranks have to agree before a step.
  [[nodiscard]] std::uint64_t check_of(const train::Batch& batch,
                                       const ParameterList<T>& parameters) {
    const auto state = task_->tape().random_state();
    const std::uint64_t numbers[] = {static_cast<std::uint64_t>(options_.shards),
                                     static_cast<std::uint64_t>(options_.part_size), state.stream,
                                     state.step, batch.size()};
    std::uint64_t check = add_to_check(0xCBF29CE484222325, numbers, sizeof numbers);
    check = add_to_check(check, batch.data(), batch.size() * sizeof(Index));
    for (const Parameter<T>* parameter : parameters) {
      const auto size = static_cast<std::size_t>(parameter->size());
      check = add_to_check(check, &size, sizeof size);
      check = add_to_check(check, parameter->value.data(), size * sizeof(T));
    }
    return check;
  }

  Task* task_;
  const Communicator* ranks_;
  ShardOptions options_;
  std::vector<Node> nodes_;  // of the subtrees that wait for their right neighbours
  std::vector<T> before_, room_;
  bool counted_ = true;
  bool has_gradient_ = false;
};

}  // namespace lora::distributed
