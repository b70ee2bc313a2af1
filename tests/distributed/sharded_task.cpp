#include <lora/distributed/sharded_task.hpp>

#include <optional>
#include <type_traits>
#include <vector>

#include <lora/train/trainer.hpp>

#include "distributed/some_ranks.hpp"
#include "support/catch.hpp"
#include "support/tolerance.hpp"
#include "train/toy_task.hpp"

using namespace lora;
using namespace lora::test;
using namespace lora::distributed;

// Ranks that end with the expression are refused.
static_assert(std::is_constructible_v<ShardedTask<ToyTask>, ToyTask&, const Communicator&>);
static_assert(!std::is_constructible_v<ShardedTask<ToyTask>, ToyTask&, Communicator>);

namespace {

struct Result {
  Matrix<float> a, b;
  std::vector<double> losses, norms;
  std::vector<Index> tokens;
  bool operator==(const Result& other) const {
    return a == other.a && b == other.b && losses == other.losses && norms == other.norms &&
           tokens == other.tokens;
  }
};

// The toy's batches have 8, 8 and 4 examples, of which some have no label; it has dropout.
template <class Task>
Result train_task(ToyTask& toy, Task& task, Index part_size) {
  train::Trainer trainer(task, AdamW<float>({.learning_rate = 0.02}),
                         {.epochs = 3, .max_norm = 0.1, .part_size = part_size});
  const train::History history = trainer.run();
  Result result{toy.layer.lora_A().value, toy.layer.lora_B().value, {}, {}, {}};
  for (const train::StepResult& step : history.steps) {
    result.losses.push_back(step.loss);
    result.norms.push_back(step.gradient_norm.value());
    result.tokens.push_back(step.tokens);
  }
  return result;
}

Result train_on(const Communicator& ranks, ShardOptions options, Index part_size = 0) {
  ToyTask toy;
  ShardedTask task(toy, ranks, options);
  return train_task(toy, task, part_size);
}

}  // namespace

TEST_CASE("a run has the same bits on 1, 2 and 4 ranks") {
  struct Case {
    ShardOptions options;
    Index part_size;
  };
  const std::vector<Case> cases{{{.shards = 4}, 0},
                                {{.shards = 8}, 0},  // of which some are empty
                                {{.shards = 32}, 0},
                                {{.shards = 4, .part_size = 1}, 0},
                                {{.shards = 4}, 3}};  // parts of the trainer
  for (const Case& each : cases) {
    const Result expected = train_on(alone(), each.options, each.part_size);
    for (const int count : {2, 4})
      on_ranks(count, [&](const Communicator& ranks) {
        CAPTURE(each.options.shards, each.options.part_size, count);
        CHECK(train_on(ranks, each.options, each.part_size) == expected);
      });
  }
}

TEST_CASE("with one shard a run is the one without shards, bit for bit") {
  ToyTask toy;
  CHECK(train_on(alone(), {.shards = 1}) == train_task(toy, toy, 0));
  ToyTask in_parts;
  CHECK(train_on(alone(), {.shards = 1, .part_size = 3}) == train_task(in_parts, in_parts, 3));
}

TEST_CASE("the shards' gradient is that of the whole batch, and adds to what stands there") {
  const auto without_dropout = [](ToyTask& toy) {
    toy.layer =
        LoRALinear<float>(DenseWeight<float>(random_matrix<float>(3, 5, 1)), {.rank = 2}, 7);
    toy.layer.set_name("layer");
    toy.layer.lora_B().value = random_matrix<float>(3, 2, 4);
  };
  ToyTask whole, toy;
  without_dropout(whole);
  without_dropout(toy);
  const train::Batch batch = whole.batches(0).front();
  const train::BatchLoss expected = whole.loss(batch);
  whole.backward();
  const Communicator one = alone();
  ShardedTask task(toy, one, {.shards = 4});
  toy.layer.lora_A().grad.setConstant(1);
  const train::BatchLoss loss = task.loss(batch);
  CHECK((toy.layer.lora_A().grad.array() == 1).all());
  task.backward();
  CHECK(loss.loss == Approx(expected.loss));
  CHECK(loss.count == expected.count);
  CHECK(loss.tokens == expected.tokens);
  const Matrix<float> a = toy.layer.lora_A().grad.array() - 1;
  CHECK(a.isApprox(whole.layer.lora_A().grad, 1e-4F));
  CHECK(toy.layer.lora_B().grad.isApprox(whole.layer.lora_B().grad, 1e-4F));
  CHECK_THROWS_AS(task.backward(), StateError);
}

TEST_CASE("all ranks take the leader's score") {
  const Communicator ranks;
  ToyTask toy({50.0 + ranks.rank()});
  ShardedTask task(toy, ranks, {.shards = 8});
  CHECK(task.validate() == 50);
}

TEST_CASE("ranks on other data, or with other adapters, are told apart at the next step") {
  const Communicator ranks;
  if (ranks.size() == 1) return;
  const train::Batch batch{0, 1, 2};
  {
    ToyTask toy;
    ShardedTask task(toy, ranks, {.shards = 8});
    CHECK_THROWS_AS((void)task.loss({0, 1, ranks.rank()}), StateError);
  }
  {
    ToyTask toy;
    toy.layer.lora_A().value(0, 0) += static_cast<float>(ranks.rank());
    ShardedTask task(toy, ranks, {.shards = 8});
    CHECK_THROWS_AS((void)task.loss(batch), StateError);
  }
  ToyTask toy;
  toy.tape().set_random_state({0, static_cast<std::uint64_t>(ranks.rank())});
  ShardedTask task(toy, ranks, {.shards = 8});
  CHECK_THROWS_AS((void)task.loss(batch), StateError);
}

TEST_CASE("ranks that do not make the same calls all throw, and none waits for ever") {
  const Communicator ranks;
  if (ranks.size() == 1) return;
  const bool other = ranks.rank() + 1 == ranks.size();
  ToyTask toy({50.0});
  ShardedTask task(toy, ranks, {.shards = 8});
  const train::Batch batch{0, 1, 2};
  const auto state = toy.tape().random_state();
  CHECK_THROWS_AS(other ? (void)task.batches(0) : (void)task.loss(batch), StateError);
  CHECK(toy.tape().random_state() == state);
  CHECK_THROWS_AS(other ? (void)task.validate() : (void)task.loss(batch), StateError);
  CHECK_THROWS_AS(other ? task.run_ends(1, 5) : (void)task.loss(batch), StateError);
  // Resumed on some ranks alone, or at another step.
  CHECK_THROWS_WITH(task.run_begins(1, other ? 3 : 4),
                    Catch::Matchers::ContainsSubstring("do not do the same"));
  train::TrainerOptions options{.epochs = 1, .decay = Decay::constant};
  if (other) options.epochs = 2;  // which options_of_rank would have told
  train::Trainer trainer(task, AdamW<float>({.learning_rate = 0.02}), options);
  CHECK_THROWS_WITH(trainer.run(), Catch::Matchers::ContainsSubstring("ends a run after 1 epochs"));
  static_cast<void>(task.loss(batch));  // in step again
}

TEST_CASE("shards that cannot be divided among the ranks are refused") {
  ToyTask toy;
  const Communicator one = alone();
  CHECK_THROWS_WITH(ShardedTask(toy, one, {.shards = 6}),
                    Catch::Matchers::ContainsSubstring("shards is 6, expected a power of two"));
  CHECK_THROWS_AS(ShardedTask(toy, one, {.shards = 0}), ConfigError);
  CHECK_THROWS_AS(ShardedTask(toy, one, {.part_size = -1}), ConfigError);
  const Communicator ranks;
  if (ranks.size() == 1) return;
  CHECK_THROWS_WITH(ShardedTask(toy, ranks, {.shards = 1}),
                    Catch::Matchers::ContainsSubstring("expected a multiple of the"));
}

namespace {

struct MovingTask : ToyTask {
  Parameter<float> mean{"norm.running_mean", Matrix<float>::Zero(1, 3)};
  ParameterList<float> stored_parameters() { return {&mean}; }
};

struct UncountedTask : ToyTask {
  train::BatchLoss loss(const train::Batch& batch) { return {.loss = ToyTask::loss(batch).loss}; }
};

}  // namespace

TEST_CASE("a task with something that moves without a gradient is refused") {
  MovingTask task;
  const Communicator one = alone();
  CHECK_THROWS_WITH(ShardedTask(task, one, {.shards = 2}),
                    Catch::Matchers::ContainsSubstring("norm.running_mean"));
  CHECK_NOTHROW(ShardedTask(task, one, {.shards = 1}));
}

TEST_CASE("shards need the counts of their losses; a single one does not") {
  const Communicator one = alone();
  UncountedTask toy;
  ShardedTask task(toy, one, {.shards = 2});
  CHECK_THROWS_AS((void)task.loss({0, 1}), StateError);
  UncountedTask other;
  ShardedTask single(other, one, {.shards = 1});
  CHECK_FALSE(single.loss({0, 1}).count.has_value());
}
