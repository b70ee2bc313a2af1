#pragma once

#include <cstdint>
#include <string>

#include "lora/distributed/sharded_task.hpp"
#include "lora/train/run_settings.hpp"
#include "lora/train/trainer_options.hpp"

namespace lora::distributed {

/// Returns the options of this rank's Trainer for a run with these `options`: rank 0 writes
/// checkpoints and metrics, and the others only read the checkpoint when they resume, from a file
/// that all see. The settings get the number of shards and their parts, which make the run's bits;
/// the number of ranks does not, and a run resumes on another one.
///
/// All ranks call this. Throws ConfigError on each if their options or settings differ.
template <class Task>
[[nodiscard]] train::TrainerOptions options_of_rank(train::TrainerOptions options,
                                                    const ShardedTask<Task>& task) {
  train::CheckpointOptions& checkpoint = options.checkpoint;
  const ShardOptions& shards = task.options();
  train::RunSettings all = checkpoint.settings;
  all.add(settings_of(options)).add("shards", shards.shards);
  // What may change when a run goes on, but must not differ within one: when it stops.
  all.add("patience", options.early_stopping.patience);
  task.ranks().require_same(std::hash<std::string>()(all.text()),
                            "the options or settings of the run");
  if (!checkpoint.path.empty() && !checkpoint.settings.empty())
    checkpoint.settings.add("shards", shards.shards).add("shard_part_size", shards.part_size);
  if (task.ranks().leads()) return options;
  checkpoint.writes = false;
  options.metrics.clear();
  return options;
}

}  // namespace lora::distributed
