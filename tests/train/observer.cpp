#include <lora/train/observer.hpp>

#include <lora/train/trainer.hpp>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "train/toy_task.hpp"

using namespace lora;
using namespace lora::train;

TEST_CASE("an observer is told of a run in its order, and of an epoch before its checkpoint") {
  const lora::test::TemporaryDirectory folder;
  const auto path = folder / "checkpoint.safetensors";
  lora::test::ToyTask task;
  task.batch_size = 10;
  std::vector<std::string> told;
  Trainer trainer(task, AdamW<float>(),
                  {.epochs = 2, .checkpoint = {path, 0, RunSettings().add("seed", 1)}});
  trainer.run({.epoch_begins =
                   [&](int epoch, std::size_t steps) {
                     told.push_back(message("epoch ", epoch, " of ", steps));
                   },
               .step_is_done =
                   [&](const Batch& batch, const StepResult& step) {
                     CHECK(batch == task.batches(static_cast<std::uint64_t>(step.epoch) - 1)
                                        .at(static_cast<std::size_t>(step.step - 1) % 2));
                     told.push_back(message("step ", step.step));
                   },
               .epoch_is_done =
                   [&](const EpochResult& epoch) {
                     told.push_back(message("done ", epoch.epoch));
                     CHECK(std::filesystem::exists(path) == (epoch.epoch == 2));
                   }});
  CHECK(told == std::vector<std::string>{"epoch 1 of 2", "step 1", "step 2", "done 1",
                                         "epoch 2 of 2", "step 3", "step 4", "done 2"});
}
