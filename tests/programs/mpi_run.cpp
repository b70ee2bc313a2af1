// Trains the toy of tests/train on all ranks, saves a checkpoint after every step and at the end
// the adapter; started again it goes on from the checkpoint. tests/distributed/check_ranks.cmake
// compares what it leaves.
//
//     mpirun -n RANKS mpi_run FOLDER [throw|kill|return RANK STEP]
#include <lora/io.hpp>
#include <lora/mpi.hpp>
#include <lora/train.hpp>

#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "train/toy_task.hpp"

namespace {

using namespace lora;

struct Return {};

struct Death {
  std::string way;
  int rank = 0;
  std::uint64_t step = 0;
};

void train_toy(const distributed::Communicator& ranks, const std::filesystem::path& folder,
               const Death& death) {
  test::ToyTask toy;
  distributed::ShardedTask task(toy, ranks, {.shards = 4});
  const auto checkpoint = folder / "checkpoint.safetensors";
  train::Trainer trainer(
      task, AdamW<float>({.learning_rate = 0.02}),
      distributed::options_of_rank(
          {.epochs = 20,
           .early_stopping = {.patience = 20},
           .checkpoint = {checkpoint, 1, train::RunSettings().add("alpha", 16.0)},
           .metrics = folder / "metrics.jsonl"},
          task));
  const bool goes_on = ranks.from_leader(std::filesystem::exists(checkpoint));
  if (goes_on) trainer.resume();
  (void)trainer.run({.step_is_done = [&](const train::Batch&, const train::StepResult& step) {
    if (death.rank != ranks.rank() || step.step != death.step) return;
    if (death.way == "kill") std::raise(SIGKILL);
    if (death.way == "return") throw Return();
    if (death.way == "throw") throw std::runtime_error("the disk is full of toys");
  }});
  if (ranks.leads()) peft::save_adapter(folder / "adapter", toy.layer);
}

}  // namespace

int main(int argc, char** argv) {
  return distributed::run_on_ranks(argc, argv, [&](const distributed::Communicator& ranks) {
    if (argc < 2) throw std::invalid_argument("mpi_run FOLDER [throw|kill|return RANK STEP]");
    Death death;
    if (argc > 4) death = {argv[2], std::atoi(argv[3]), std::strtoull(argv[4], nullptr, 10)};
    if (ranks.leads()) std::filesystem::create_directories(argv[1]);
    try {
      train_toy(ranks, argv[1], death);
    } catch (const Return&) {
    }
    return 0;
  });
}
