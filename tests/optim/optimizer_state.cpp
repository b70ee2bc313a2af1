#include <lora/optim/optimizer_state.hpp>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("what is remembered of a parameter must have its shape") {
  Parameter<float> parameter("q.lora_A", Matrix<float>(2, 3));
  CHECK_NOTHROW(require_same_shape(Matrix<float>(2, 3), parameter, "AdamW::step"));
  for (const auto& other : {Matrix<float>(3, 2), Matrix<float>(2, 4), Matrix<float>()})
    check_throws<ShapeError>([&] { require_same_shape(other, parameter, "AdamW::step"); },
                             "AdamW::step: q.lora_A is (2, 3), expected " + shape_of(other));
}

TEST_CASE("an optimizer's state begins empty") {
  const OptimizerState<double> state;
  CHECK(state.optimizer.empty());
  CHECK(state.learning_rate == 0);
  CHECK(state.steps.empty());
  CHECK(state.tensors.empty());
}
