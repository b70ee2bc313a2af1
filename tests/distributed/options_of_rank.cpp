#include <lora/distributed/options_of_rank.hpp>

#include <unistd.h>

#include <filesystem>

#include <lora/train/trainer.hpp>

#include "distributed/some_ranks.hpp"
#include "support/catch.hpp"
#include "train/toy_task.hpp"

using namespace lora;
using namespace lora::test;
using namespace lora::distributed;

namespace {

struct Killed {};

// A run that is killed after `steps` of its steps; returns A and B, side by side.
Matrix<float> run(const Communicator& ranks, const std::filesystem::path& folder, bool resume,
                  std::uint64_t steps, Index shards = 4) {
  ToyTask toy;
  ShardedTask task(toy, ranks, {.shards = shards});
  train::Trainer trainer(task, AdamW<float>({.learning_rate = 0.02}),
                         options_of_rank({.epochs = 3,
                                          .checkpoint = {folder / "checkpoint.safetensors", 1,
                                                         train::RunSettings().add("alpha", 16.0)},
                                          .metrics = folder / "metrics.jsonl"},
                                         task));
  if (resume) trainer.resume();
  try {
    (void)trainer.run({.step_is_done = [&](const train::Batch&, const train::StepResult& step) {
      if (step.step == steps) throw Killed();
    }});
  } catch (const Killed&) {
  }
  Matrix<float> both(2, 8);
  both << toy.layer.lora_A().value, toy.layer.lora_B().value.transpose();
  return both;
}

}  // namespace

TEST_CASE("a run that one rank began goes on on others, and they end it with the same bits") {
  const Communicator world;
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / message("lora-mpi-", world.from_leader(::getpid()));
  if (world.leads()) std::filesystem::create_directory(folder);
  world.wait();
  Matrix<float> straight;
  on_ranks(1, [&](const Communicator& ranks) { straight = run(ranks, folder, false, 100); });
  on_ranks(4, [&](const Communicator& ranks) { run(ranks, folder, false, 3); });
  on_ranks(2, [&](const Communicator& ranks) { run(ranks, folder, world.size() >= 4, 5); });
  on_ranks(1, [&](const Communicator& ranks) {
    CHECK(run(ranks, folder, world.size() >= 2, 100) == straight);
    CHECK_THROWS_WITH(run(ranks, folder, true, 100, 8),
                      Catch::Matchers::ContainsSubstring("shards"));
  });
  world.wait();
  if (world.leads()) std::filesystem::remove_all(folder);
}

TEST_CASE("one rank writes") {
  const Communicator ranks;
  ToyTask toy;
  ShardedTask task(toy, ranks, {.shards = 8});
  const train::TrainerOptions options =
      options_of_rank({.checkpoint = {"checkpoint", 0, train::RunSettings().add("alpha", 16.0)},
                       .metrics = "metrics"},
                      task);
  CHECK(options.checkpoint.path == "checkpoint");
  CHECK(options.checkpoint.writes == ranks.leads());
  CHECK(options.metrics.empty() == !ranks.leads());
}

TEST_CASE("ranks with other options are refused, all of them") {
  const Communicator ranks;
  if (ranks.size() == 1) return;
  ToyTask toy;
  ShardedTask task(toy, ranks, {.shards = 8});
  CHECK_THROWS_AS(options_of_rank({.epochs = 3 + ranks.rank()}, task), ConfigError);
}
