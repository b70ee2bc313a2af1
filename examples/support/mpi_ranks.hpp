#pragma once

#include <CLI/CLI.hpp>
#include <lora/mpi.hpp>
#include <utility>

namespace examples {

/// Adds --shards and --shard-part to `app`.
inline void add_shard_options(CLI::App& app, lora::distributed::ShardOptions& options) {
  app.add_option("--shards", options.shards,
                 "pieces of a batch, a power of two that the number of ranks divides; results are "
                 "the same for any number of ranks, not of shards")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--shard-part", options.part_size,
                 "examples of a shard that go through the model at once [all of them]")
      ->check(CLI::Range(1, 1 << 20));
}

/// The ranks that share a run, each with the whole program and a share of every batch.
class MpiRanks {
 public:
  /// Views `ranks`, which must outlive it.
  MpiRanks(const lora::distributed::Communicator& ranks, lora::distributed::ShardOptions shards)
      : ranks_(&ranks), shards_(shards) {}

  template <class Learner>
  [[nodiscard]] lora::distributed::ShardedTask<Learner> task(Learner& learner) const {
    return {learner, *ranks_, shards_};
  }

  template <class Task>
  [[nodiscard]] lora::train::TrainerOptions options(lora::train::TrainerOptions options,
                                                    const Task& task) const {
    return options_of_rank(std::move(options), task);
  }

  [[nodiscard]] bool leads() const { return ranks_->leads(); }

 private:
  const lora::distributed::Communicator* ranks_;
  lora::distributed::ShardOptions shards_;
};

}  // namespace examples
