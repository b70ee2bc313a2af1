#include <lora/train/run_checkpoint.hpp>

#include <lora/optim/adamw.hpp>
#include <lora/optim/sgd.hpp>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "train/toy_task.hpp"

using namespace lora;
using namespace lora::test;
using namespace lora::train;

namespace {

RunSettings seed_of(int seed) { return RunSettings().add("seed", seed); }

void step(ToyTask& task, AdamW<float>& optimizer) {
  static_cast<void>(task.loss(task.batches(0)[0]));
  task.backward();
  optimizer.step(task.parameters());
  zero_grad(task.parameters());
}

}  // namespace

TEST_CASE("a run comes back from its file, and its next step is the same") {
  const TemporaryDirectory folder;
  const auto path = folder / "c";
  const RunPosition position{2, 1, 7, {2, 1, -0.5}};
  ToyTask task, other;
  AdamW<float> optimizer, restored;
  step(task, optimizer);
  save_run(path, task, optimizer, position, seed_of(1));
  const auto saved = read_run<float>(path, seed_of(1));
  CHECK(saved.position == position);
  restore_run(saved, other, restored);
  step(task, optimizer);
  step(other, restored);
  CHECK(same_bits(other.layer.lora_A().value, task.layer.lora_A().value));
  CHECK(same_bits(other.layer.lora_B().value, task.layer.lora_B().value));
}

TEST_CASE("a checkpoint that is of another run, or of none, is refused") {
  const TemporaryDirectory folder;
  const auto path = folder / "c";
  ToyTask task;
  AdamW<float> optimizer;
  step(task, optimizer);
  save_run(path, task, optimizer, {}, seed_of(1));
  check_throws<ConfigError>([&] { static_cast<void>(read_run<float>(path, seed_of(2))); },
                            "c: is of a run with seed = 1, expected this one's 2");
  check_throws<FileError>([&] { static_cast<void>(read_run<float>(folder / "none", seed_of(1))); },
                          "none");

  // Parts of a run that a file of another program, or a broken one, does not have.
  const auto whole = io::load_checkpoint<float>(path);
  const auto refuse = [&](const auto& change, const std::string& what) {
    auto broken = whole;
    change(broken);
    io::save_checkpoint(path, broken);
    check_throws<FileError>([&] { static_cast<void>(read_run<float>(path, seed_of(1))); }, what);
  };
  using C = io::Checkpoint<float>;
  refuse([](C& c) { c.notes.clear(); }, "c: does not say its settings");
  refuse([](C& c) { c.notes["settings"] = "nonsense"; }, "c: ");
  for (const char* name : {"epochs", "steps_of_epoch", "steps", "scored_epochs", "best_epoch"})
    refuse([&](C& c) { c.counters.erase(name); }, message("c: does not say its ", name));
  refuse([](C& c) { c.counters["epochs"] = 1ULL << 40; }, "c: its epochs is 1099511627776");
  refuse([](C& c) { c.numbers.clear(); }, "c: does not say its best_score");
  refuse([](C& c) { c.tapes.clear(); }, "c: has the state of 0 tapes");

  // Of another optimizer, or other parameters: nothing has changed.
  io::save_checkpoint(path, whole);
  ToyTask other;
  SGD<float> sgd;
  const Matrix<float> b = other.layer.lora_B().value;
  check_throws<StateError>([&] { restore_run(read_run<float>(path, seed_of(1)), other, sgd); },
                           "the state is of AdamW");
  other.layer.set_name("other");
  AdamW<float> fresh;
  check_throws<ConfigError>([&] { restore_run(read_run<float>(path, seed_of(1)), other, fresh); },
                            "other.lora_A.weight");
  CHECK(same_bits(other.layer.lora_B().value, b));
  CHECK(fresh.state().steps.empty());
}

TEST_CASE("what moves beside what trains comes back with the run") {
  struct Moving : ToyTask {
    Parameter<float> mean{"norm.running_mean", Matrix<float>::Constant(1, 3, 5)};
    ParameterList<float> stored_parameters() {
      ParameterList<float> all = parameters();  // some train, and are listed once
      all.add(mean);
      return all;
    }
  };
  const TemporaryDirectory folder;
  Moving task, other;
  AdamW<float> optimizer, restored;
  CHECK(checkpoint_parameters(task).size() == task.parameters().size() + 1);
  step(task, optimizer);
  task.mean.value.setConstant(7);
  save_run(folder / "c", task, optimizer, {}, seed_of(1));
  restore_run(read_run<float>(folder / "c", seed_of(1)), other, restored);
  CHECK(same_bits(other.mean.value, task.mean.value));
  CHECK(same_bits(other.layer.lora_B().value, task.layer.lora_B().value));
}
