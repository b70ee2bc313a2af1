// A training run with AdaLoRA as its optimizer, and its checkpoints.

#include <lora/optim/adalora.hpp>
#include <lora/train/optimizer_settings.hpp>
#include <lora/train/trainer.hpp>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "train/toy_task.hpp"

using namespace lora;
using namespace lora::test;
using namespace lora::train;

namespace {

AdaLoRA<float> adalora_of(ToyTask& task, const AdaLoRAConfig& config) {
  return {AdamW<float>({.learning_rate = 0.05}), {task.layer}, config, /*seed=*/3};
}

struct Interrupted {};

}  // namespace

TEST_CASE("a run with AdaLoRA is resumed bit for bit, and takes its ranks away") {
  // Five epochs of three steps; the third checkpoint is in the middle of the allocation.
  const AdaLoRAConfig config{
      .init_r = 4, .target_r = 1, .total_step = 15, .tinit = 3, .tfinal = 3, .dropout = 0.3};
  const TemporaryDirectory folder, other;
  const auto options = [](const TemporaryDirectory& at) {
    TrainerOptions all{.epochs = 5, .early_stopping = {.patience = 5}};
    all.checkpoint.path = at / "run.safetensors";
    all.checkpoint.settings.add("data", "toy");
    return all;
  };
  ToyTask whole, first, second;
  Trainer straight(whole, adalora_of(whole, config), options(other));
  straight.run();
  CHECK(straight.optimizer().steps() == 15);
  CHECK(straight.optimizer().rank(0) == 1);
  CHECK((whole.layer.lora_A().value.array() == 0).rowwise().all().count() == 3);

  Observer dies;
  dies.step_is_done = [](const Batch&, const StepResult& step) {
    if (step.step == 8) throw Interrupted();
  };
  CHECK_THROWS_AS(Trainer(first, adalora_of(first, config), options(folder)).run(dies),
                  Interrupted);
  Trainer resumed(second, adalora_of(second, config), options(folder));
  resumed.resume();
  CHECK(resumed.position().steps == 6);
  resumed.run();
  CHECK(resumed.optimizer().rank(0) == 1);
  CHECK(same_bits(second.layer.lora_A().value, whole.layer.lora_A().value));
  CHECK(same_bits(second.layer.lora_B().value, whole.layer.lora_B().value));

  AdaLoRAConfig others = config;
  others.target_r = 2;
  ToyTask third;
  Trainer another(third, adalora_of(third, others), options(folder));
  check_throws<ConfigError>([&] { another.resume(); }, "adalora.target_r");
}
