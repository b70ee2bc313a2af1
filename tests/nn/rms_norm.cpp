#include <lora/nn/rms_norm.hpp>

#include <cmath>
#include <string>

#include "contracts/trainable_layer.hpp"
#include "support/golden.hpp"

using namespace lora;
using namespace lora::test;

namespace {

template <class T>
RMSNorm<T> make_rms_norm(Index d, const RMSNormConfig& config = {}) {
  return RMSNorm<T>(Vector<T>::Ones(d) + random_matrix<T>(d, 1, 3).col(0) / 2, config);
}

}  // namespace

TEST_CASE("RMSNorm's gradients agree with finite differences") {
  for (const Index d : {1, 3, 5, 17, 70})
    for (const bool plus_one : {false, true}) {
      CAPTURE(d, plus_one);
      auto norm = make_rms_norm<double>(
          d, {.epsilon = 1e-3, .trainable = true, .weight_plus_one = plus_one});
      check_gradients(norm, 6, 1);
      auto frozen = make_rms_norm<double>(d, {.epsilon = 1e-3, .weight_plus_one = plus_one});
      CHECK(frozen.parameters().empty());
      check_gradients(frozen, 6, 2);
      CHECK(frozen.weight().grad.isZero(0));
    }
}

TEMPLATE_TEST_CASE("RMSNorm keeps the contract of a trainable layer", "", float, double) {
  for (const bool trainable : {false, true}) {
    auto norm = make_rms_norm<TestType>(300, {.trainable = trainable});
    check_bad_shapes(norm);
    check_second_step_allocates_nothing(norm, 200);
    check_thread_independence(norm, 300);
    auto small = make_rms_norm<TestType>(21, {.trainable = trainable});
    check_callers_memory(small, 5);
    check_overlap_refused(small, 5);
    check_outside_gradients(small, 5);
    check_input_is_remembered(small, 5);
  }
}

TEST_CASE("two threads train one RMSNorm", "[threads]") {
  auto norm = make_rms_norm<float>(70, {.trainable = true});
  check_two_threads_train(norm, 12);
}

TEST_CASE("RMSNorm and its gradients are those of transformers' Llama and Gemma") {
  const Golden<float> golden("decoder_rms_norm_f32");
  for (const std::string name : {"llama", "gemma"}) {
    CAPTURE(name);
    RMSNorm<float> norm(Vector<float>(golden["weight"].row(0)),
                        {.epsilon = 1e-5, .trainable = true, .weight_plus_one = name == "gemma"});
    norm.set_name("model.norm");
    CHECK(norm.weight().name == "model.norm.weight");
    CHECK(norm.weight().shape() == std::vector<Index>{37});
    Matrix<float> y, dx;
    Tape<float> tape;
    norm.forward(golden["x"], tape, y);
    norm.backward(golden["x"], golden["dy"], tape, dx);
    const double tolerance = Tolerance<float>(37).value;
    CHECK(largest_difference(y, golden[name + "_y"]) <= tolerance);
    CHECK(largest_difference(dx, golden[name + "_dx"]) <= tolerance);
    CHECK(largest_difference(norm.weight().grad, golden[name + "_dw"]) <= tolerance);
  }
}

TEST_CASE("RMSNorm may work in place but in training, where backward needs x") {
  auto norm = make_rms_norm<float>(33, {.trainable = true});
  const Matrix<float> x = random_matrix<float>(9, 33, 1), dy = random_matrix<float>(9, 33, 2);
  Tape<float> tape;
  Matrix<float> y, dx, a = x, b = dy;
  norm.forward(x, tape, y);
  norm.backward(x, dy, tape, dx);
  const Matrix<float> dw = norm.weight().grad;
  CHECK_THROWS_AS(norm.forward(a, tape, a), ShapeError);
  CHECK(tape.empty());
  norm.forward(a, a);
  CHECK(same_bits(a, y));
  for (Matrix<float>* over : {&a, &b}) {
    a = x;
    b = dy;
    zero_grad(norm.parameters());
    norm.forward(a, tape, y);
    norm.backward(a, b, tape, *over);
    CHECK(same_bits(*over, dx));
    CHECK(same_bits(norm.weight().grad, dw));
  }
}

TEST_CASE("RMSNorm of zeros is zeros, and refuses what does not fit") {
  auto norm = make_rms_norm<float>(20);
  Matrix<float> y;
  norm.forward(Matrix<float>::Zero(2, 20).eval(), y);
  CHECK(y.isZero(0));
  CHECK_THROWS_AS(RMSNorm<float>(Vector<float>()), ShapeError);
  const Vector<float> three = Vector<float>::Ones(3);
  for (const double bad : {-1.0, std::nan(""), HUGE_VAL})
    CHECK_THROWS_AS(RMSNorm<float>(three, {.epsilon = bad}), ConfigError);
  CHECK_THROWS_WITH(norm.forward(random_matrix<float>(2, 4, 1), y),
                    "RMSNorm::forward: x is (2, 4), expected (N, features = 20)");
}
