#include <lora/train/task.hpp>

#include <lora/optim/adamw.hpp>
#include <lora/optim/sgd.hpp>

#include "support/catch.hpp"
#include "train/toy_task.hpp"

using namespace lora;
using namespace lora::train;

namespace {

// Forgets to say how many losses its mean is over.
struct WithoutCount : lora::test::ToyTask {
  [[nodiscard]] double loss(const Batch&) { return 0; }
};

struct WithoutTape : lora::test::ToyTask {
  void tape() {}
};

}  // namespace

TEST_CASE("a task is what has batches, a loss with its count, a backward and a tape") {
  STATIC_REQUIRE(TrainingTask<lora::test::ToyTask>);
  STATIC_REQUIRE(ValidatedTask<lora::test::ToyTask>);
  STATIC_REQUIRE(std::is_same_v<ScalarOf<lora::test::ToyTask>, float>);
  STATIC_REQUIRE_FALSE(TrainingTask<WithoutCount>);
  STATIC_REQUIRE_FALSE(TrainingTask<WithoutTape>);
  STATIC_REQUIRE_FALSE(TrainingTask<int>);
}

TEST_CASE("optimizers of the task's scalar train it") {
  STATIC_REQUIRE(TrainingOptimizer<AdamW<float>, float>);
  STATIC_REQUIRE(TrainingOptimizer<SGD<double>, double>);
  STATIC_REQUIRE_FALSE(TrainingOptimizer<AdamW<double>, float>);
  STATIC_REQUIRE_FALSE(TrainingOptimizer<int, float>);
}
