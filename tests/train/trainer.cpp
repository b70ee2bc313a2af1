#include <lora/train/trainer.hpp>

#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"
#include "train/toy_task.hpp"

using namespace lora;
using namespace lora::test;
using namespace lora::train;

namespace {

AdamW<float> adamw(double learning_rate = 0.01) {
  return AdamW<float>({.learning_rate = learning_rate});
}

CheckpointOptions checkpoint_in(const TemporaryDirectory& folder, std::uint64_t every_steps = 0) {
  return {folder / "checkpoint.safetensors", every_steps, RunSettings().add("alpha", 16.0)};
}

std::vector<double> losses(const History& history) {
  std::vector<double> all;
  for (const StepResult& step : history.steps) all.push_back(step.loss);
  return all;
}

struct Killed {};

// Dies in the step of this number, which has been done and has been seen by no checkpoint.
Observer dies_in_step(std::uint64_t step) {
  return {.step_is_done = [step](const Batch&, const StepResult& result) {
    if (result.step == step) throw Killed();
  }};
}

}  // namespace

TEST_CASE("a trainer stops when the score has not risen for so many epochs") {
  ToyTask task({50, 60, 60, 55, 70});
  std::vector<int> begun;
  std::vector<std::pair<double, bool>> scores;
  bool stopped = false;
  Trainer trainer(task, adamw(), {.epochs = 9, .early_stopping = {.patience = 2}});
  const History history =
      trainer.run({.epoch_begins = [&](int epoch, std::size_t) { begun.push_back(epoch); },
                   .epoch_is_done =
                       [&](const EpochResult& epoch) {
                         scores.emplace_back(epoch.score.value(), epoch.best);
                         CHECK_FALSE(stopped);
                         stopped = epoch.stops;
                       }});
  CHECK(begun == std::vector<int>{1, 2, 3, 4});
  CHECK(scores ==
        std::vector<std::pair<double, bool>>{{50, true}, {60, true}, {60, false}, {55, false}});
  CHECK(stopped);
  CHECK(history.scores == EarlyStopping::State{4, 2, 60});
  CHECK(history.steps.size() == 4 * 3);
  CHECK(history.epochs.size() == 4);
  CHECK(history.seconds() > 0);
  CHECK(history.tokens_per_second() > 0);
  CHECK(trainer.run().steps.empty());  // nothing is left to be done
}

TEST_CASE("training lowers the loss") {
  ToyTask task({1, 2, 3, 4, 5, 6, 7, 8, 9, 10});
  task.batch_size = 20;
  const History history = Trainer(task, adamw(0.05), {.epochs = 10, .warmup = 0}).run();
  CHECK(history.steps.back().loss < 0.9 * history.steps.front().loss);
  CHECK(history.epochs[3].loss == history.steps[3].loss);
  ToyTask other;
  const History with_sgd =
      Trainer(other, SGD<float>({.learning_rate = 0.5}), {.epochs = 3, .warmup = 0}).run();
  CHECK(with_sgd.epochs.back().loss < with_sgd.epochs.front().loss);
}

TEST_CASE("the learning rate rises to the optimizer's and falls to zero") {
  ToyTask task({1, 2, 3, 4});
  const History history = Trainer(task, adamw(0.5), {.epochs = 4, .warmup = 0.25}).run();
  std::vector<double> rates;
  for (const StepResult& step : history.steps) rates.push_back(step.learning_rate);
  const Schedule expected(
      {.decay = Decay::linear, .peak = 0.5, .warmup_steps = 3, .total_steps = 12});
  for (std::size_t i = 0; i < 12; ++i) CHECK(rates.at(i) == expected.at(i));
}

TEST_CASE("a batch in parts is the batch in one piece, also where labels are missing") {
  for (const Index part_size : {1, 3, 8}) {
    ToyTask whole, parts;
    // Without dropout, whose masks parts draw for themselves.
    for (ToyTask* task : {&whole, &parts}) {
      task->layer =
          LoRALinear<float>(DenseWeight<float>(random_matrix<float>(3, 5, 1)), {.rank = 2}, 7);
      task->layer.lora_B().value = random_matrix<float>(3, 2, 4);
    }
    const SGD<float> sgd({.learning_rate = 0.1});
    const auto at_once = Trainer(whole, sgd, {.epochs = 2, .max_norm = 0}).run();
    const auto in_parts =
        Trainer(parts, sgd, {.epochs = 2, .max_norm = 0, .part_size = part_size}).run();
    REQUIRE(at_once.steps.size() == in_parts.steps.size());
    const Tolerance<float> tolerance(20);
    for (std::size_t i = 0; i < at_once.steps.size(); ++i) {
      CHECK(std::abs(at_once.steps[i].loss - in_parts.steps[i].loss) < tolerance.value);
      CHECK(at_once.steps[i].tokens == in_parts.steps[i].tokens);
    }
    CHECK(largest_difference(whole.layer.lora_B().value, parts.layer.lora_B().value) <
          tolerance.value);
    CHECK(largest_difference(whole.layer.lora_A().value, parts.layer.lora_A().value) <
          tolerance.value);
  }
}

TEST_CASE("a run that is killed and resumed ends bit for bit where one without a break does") {
  const std::vector<double> scores{10, 20, 15, 30, 25};
  const TrainerOptions plain{.epochs = 5, .part_size = 5, .early_stopping = {.patience = 5}};
  for (const std::uint64_t every_steps : {0U, 2U}) {
    CAPTURE(every_steps);
    const TemporaryDirectory folder, other;
    TrainerOptions options = plain;
    options.checkpoint = checkpoint_in(folder, every_steps);
    options.metrics = folder / "metrics.jsonl";
    TrainerOptions straight_options = options;
    straight_options.checkpoint = checkpoint_in(other, every_steps);
    straight_options.metrics = other / "metrics.jsonl";

    ToyTask whole(scores);
    const auto all = losses(Trainer(whole, adamw(), straight_options).run());

    // In the second step of the fourth epoch: the last checkpoint is the third's, or step 10's.
    ToyTask first({10, 20, 15});
    CHECK_THROWS_AS(Trainer(first, adamw(), options).run(dies_in_step(11)), Killed);
    ToyTask second({30, 25});
    Trainer trainer(second, adamw(), options);
    trainer.resume();
    const std::size_t done = every_steps == 0 ? 9 : 10;
    CHECK(trainer.position().steps == done);
    std::size_t announced = 0;
    const History rest =
        trainer.run({.epoch_begins = [&](int, std::size_t steps) { announced += steps; }});
    CHECK(announced == all.size() - done);
    CHECK(losses(rest) == std::vector<double>(all.begin() + static_cast<long>(done), all.end()));
    CHECK(rest.scores == EarlyStopping::State{5, 4, 30});
    for (const char* file : {"checkpoint.safetensors", "metrics.jsonl"})
      CHECK(read_whole(folder / file) == read_whole(other / file));
    CHECK(same_bits(second.layer.lora_A().value, whole.layer.lora_A().value));

    // Nothing is left to be done.
    ToyTask third;
    Trainer finished(third, adamw(), options);
    finished.resume();
    CHECK(finished.run().steps.empty());
    CHECK(same_bits(third.layer.lora_B().value, whole.layer.lora_B().value));
  }
}

TEST_CASE("a run that stopped early goes on with more patience, as one that had it all along") {
  const TemporaryDirectory folder, other;
  TrainerOptions options{
      .epochs = 5, .early_stopping = {.patience = 1}, .checkpoint = checkpoint_in(folder)};
  ToyTask first({10, 20, 15});
  CHECK(Trainer(first, adamw(), options).run().epochs.size() == 3);

  options.early_stopping.patience = 2;
  ToyTask second({30, 10});
  Trainer resumed(second, adamw(), options);
  resumed.resume();
  CHECK(resumed.run().epochs.size() == 2);

  options.checkpoint = checkpoint_in(other);
  ToyTask whole({10, 20, 15, 30, 10});
  Trainer(whole, adamw(), options).run();
  CHECK(same_bits(second.layer.lora_A().value, whole.layer.lora_A().value));
  CHECK(read_whole(folder / "checkpoint.safetensors") ==
        read_whole(other / "checkpoint.safetensors"));

  // With less patience than has passed, there is nothing to be done.
  options.early_stopping.patience = 3;
  ToyTask third({20, 15, 15});
  CHECK_THROWS_AS(Trainer(third, adamw(), options).run(dies_in_step(11)), Killed);
  options.early_stopping.patience = 2;
  ToyTask fourth;
  Trainer impatient(fourth, adamw(), options);
  impatient.resume();
  CHECK(impatient.run().epochs.empty());
}

TEST_CASE("a checkpoint of another run is refused whole, and nothing changes") {
  const TemporaryDirectory folder;
  const TrainerOptions options{.epochs = 2, .checkpoint = checkpoint_in(folder)};
  ToyTask task;
  check_throws<FileError>([&] { Trainer(task, adamw(), options).resume(); },
                          "checkpoint.safetensors");
  Trainer(task, adamw(), options).run();

  const auto refuse = [&](const auto& change, const auto& optimizer, const std::string& what) {
    TrainerOptions other = options;
    ToyTask fresh;
    change(other, fresh);
    const Matrix<float> b = fresh.layer.lora_B().value;
    Trainer trainer(fresh, optimizer, other);
    check_throws<ConfigError>([&] { trainer.resume(); },
                              "checkpoint.safetensors: is of a run " + what);
    CHECK(same_bits(fresh.layer.lora_B().value, b));
    CHECK(trainer.position() == RunPosition{});
  };
  using O = TrainerOptions;
  const auto same = [](O&, ToyTask&) {};
  refuse([](O& o, ToyTask&) { o.checkpoint.settings = RunSettings().add("alpha", 8.0); }, adamw(),
         "with alpha = 16.0, expected this one's 8.0");
  refuse([](O& o, ToyTask&) { o.epochs = 3; }, adamw(), "with epochs = 2, expected this one's 3");
  refuse([](O& o, ToyTask&) { o.warmup = 0; }, adamw(), "with warmup = ");
  refuse([](O& o, ToyTask&) { o.decay = Decay::cosine; }, adamw(), "with decay = \"linear\"");
  refuse([](O& o, ToyTask&) { o.max_norm = 2; }, adamw(), "with max_norm = ");
  refuse([](O& o, ToyTask&) { o.part_size = 2; }, adamw(), "with part_size = 0");
  refuse([](O& o, ToyTask&) { o.early_stopping.better = Better::lower; }, adamw(),
         "with better = \"higher\"");
  refuse(same, adamw(0.5), "with learning_rate = 0.01, expected this one's 0.5");
  refuse(same, AdamW<float>({.learning_rate = 0.01, .weight_decay = 0}), "with weight_decay = ");
  refuse(same, AdamW<float>({.learning_rate = 0.01, .beta1 = 0.5}), "with beta1 = 0.9");
  refuse(same, AdamW<float>({.learning_rate = 0.01, .groups = {{.name_contains = "lora_B"}}}),
         "with groups = []");
  refuse(same, SGD<float>({.learning_rate = 0.01}), "with optimizer = \"AdamW\"");
  // What nobody has named, the first epoch's batches tell: other data, batches or seed.
  refuse([](O&, ToyTask& t) { t.seed = 2; }, adamw(), "with batches = ");
  refuse([](O&, ToyTask& t) { t.batch_size = 4; }, adamw(), "with batches = ");

  // Another rank under the same settings: the parameters do not fit.
  ToyTask wider;
  wider.layer =
      LoRALinear<float>(DenseWeight<float>(random_matrix<float>(3, 5, 1)), {.rank = 3}, 7);
  wider.layer.set_name("layer");
  Trainer trainer(wider, adamw(), options);
  check_throws<ShapeError>([&] { trainer.resume(); }, "layer.lora_A.weight is (2, 5)");
}

TEST_CASE("a step whose loss is no number is refused before it spoils anything") {
  ToyTask task;
  task.spoilt_step = 5;
  Trainer trainer(task, adamw(), {.epochs = 2});
  check_throws<StateError>([&] { trainer.run(); }, "step 5: the loss is nan");
  CHECK(trainer.position().steps == 4);
  CHECK(task.layer.lora_B().value.allFinite());
  ToyTask same_so_far;
  CHECK_THROWS_AS(Trainer(same_so_far, adamw(), {.epochs = 2}).run(dies_in_step(4)), Killed);
  CHECK(same_bits(task.layer.lora_B().value, same_so_far.layer.lora_B().value));
}

TEST_CASE("a step whose gradient is infinite is refused, clipped or not") {
  for (const double max_norm : {0.0, 1.0}) {
    ToyTask task;
    task.spoilt_gradient_step = 3;
    Trainer trainer(task, adamw(), {.epochs = 2, .max_norm = max_norm});
    check_throws<StateError>([&] { trainer.run(); }, "infinite or NaN");
    CHECK(trainer.position().steps == 2);
    CHECK(task.layer.lora_B().value.allFinite());
  }
}

TEST_CASE("metrics are written at each step and each score") {
  const TemporaryDirectory folder;
  ToyTask task({50, 60});
  const History history =
      Trainer(task, adamw(), {.epochs = 2, .metrics = folder / "m.jsonl"}).run();
  const auto metrics = read_metrics(folder / "m.jsonl");
  REQUIRE(metrics.size() == 2 * (3 + 1));
  CHECK(metrics[1].at("step") == 2);
  CHECK(metrics[1].at("epoch") == 1);
  CHECK(metrics[1].at("loss") == history.steps[1].loss);
  CHECK(metrics[1].at("learning_rate") == history.steps[1].learning_rate);
  CHECK(metrics[1].at("gradient_norm") == history.steps[1].gradient_norm);
  CHECK(metrics[3] == Metrics{{"step", 3}, {"epoch", 1}, {"score", 50}});
}

namespace {

// Has nothing to score itself on.
class Unscored {
 public:
  [[nodiscard]] ParameterList<float> parameters() { return task_.parameters(); }
  [[nodiscard]] std::vector<Batch> batches(std::uint64_t epoch) const {
    return task_.batches(epoch);
  }
  [[nodiscard]] BatchLoss loss(const Batch& batch) { return task_.loss(batch); }
  void backward() { task_.backward(); }
  [[nodiscard]] Tape<float>& tape() { return task_.tape(); }

 private:
  ToyTask task_;
};

}  // namespace

TEST_CASE("a task without validation trains for all epochs") {
  static_assert(TrainingTask<Unscored> && !ValidatedTask<Unscored>);
  Unscored task;
  const History history = Trainer(task, adamw(), {.epochs = 5}).run();
  CHECK(history.epochs.size() == 5);
  CHECK_FALSE(history.epochs.back().score.has_value());
}

TEST_CASE("a task without batches is refused") {
  struct Empty : Unscored {
    [[nodiscard]] std::vector<Batch> batches(std::uint64_t) const { return {}; }
  } task;
  check_throws<ConfigError>([&] { Trainer(task, adamw()); }, "first epoch has no batch");
  ToyTask toy;
  check_throws<ConfigError>([&] { Trainer(toy, adamw()).resume(); }, "no checkpoint.path");
}

TEST_CASE("a trainer that does not write leaves the checkpoint alone, and resumes from it") {
  const TemporaryDirectory folder;
  TrainerOptions options{.epochs = 2, .checkpoint = checkpoint_in(folder)};
  options.checkpoint.writes = false;
  ToyTask reader;
  Trainer reads(reader, adamw(), options);
  (void)reads.run();
  CHECK(folder.count() == 0);
  options.checkpoint.writes = true;
  ToyTask writer;
  (void)Trainer(writer, adamw(), options).run();
  Trainer resumes(reader, adamw(), options);
  resumes.resume();
  CHECK(resumes.position().epochs == 2);
}
