#include <lora/nn/layer_norm.hpp>

#include <cmath>
#include <limits>

#include "contracts/trainable_layer.hpp"
#include "support/golden.hpp"

using namespace lora;
using namespace lora::test;

namespace {

template <class T>
LayerNorm<T> make_norm(Index d, const LayerNormConfig& config = {}) {
  const Vector<T> gamma = Vector<T>::Ones(d) + random_matrix<T>(d, 1, 3).col(0) / 2;
  return LayerNorm<T>(gamma, random_matrix<T>(d, 1, 4).col(0), config);
}

}  // namespace

TEST_CASE("LayerNorm's gradients agree with finite differences") {
  for (const Index d : {3, 5, 17, 70}) {
    auto norm = make_norm<double>(d, {.epsilon = 1e-12, .trainable = true});
    check_gradients(norm, 6, 1);
    auto frozen = make_norm<double>(d, {.epsilon = 1e-3});
    CHECK(frozen.parameters().size() == 0);
    check_gradients(frozen, 6, 2);
    CHECK(frozen.gamma().grad.isZero(0));
  }
}

TEMPLATE_TEST_CASE("LayerNorm keeps the contract of a trainable layer", "", float, double) {
  for (const bool trainable : {false, true}) {
    auto norm = make_norm<TestType>(300, {.trainable = trainable});
    check_bad_shapes(norm);
    check_second_step_allocates_nothing(norm, 200);
    check_thread_independence(norm, 300);
    auto small = make_norm<TestType>(21, {.trainable = trainable});
    check_callers_memory(small, 5);
    check_overlap_refused(small, 5);
    check_outside_gradients(small, 5);
    check_input_is_remembered(small, 5);
  }
}

TEST_CASE("two threads train one LayerNorm", "[threads]") {
  auto norm = make_norm<float>(70, {.trainable = true});
  check_two_threads_train(norm, 12);
}

TEST_CASE("LayerNorm knows that it ran in place, and that its output was changed") {
  auto norm = make_norm<float>(20, {.trainable = true});
  Tape<float> tape;
  Matrix<float> x = random_matrix<float>(4, 20, 1), y, dx;
  const Matrix<float> dy = random_matrix<float>(4, 20, 2), before = x;
  norm.forward(x, tape, x);
  check_throws<StateError>([&] { norm.backward(x, dy, tape, dx); },
                           "LayerNorm::backward: the elements of x are not those of the forward");
  norm.backward(before, dy, tape, dx);  // a copy will do
  norm.forward(before, tape, y);
  const Matrix<float> copy = y;
  y *= 2;
  check_throws<StateError>([&] { norm.backward_from_output(y, dy, tape, dx); },
                           "LayerNorm::backward_from_output: the elements of y");
  Gradients<float> gradients(norm.parameters());
  const auto& constant = norm;
  zero_grad(norm.parameters());
  constant.backward_from_output(copy, dy, tape, gradients, dx);
  CHECK(tape.empty());
  CHECK(norm.beta().grad.isZero(0));
  CHECK(same_bits(gradients.of(norm.beta()), dy.colwise().sum()));
  // dx may be y itself.
  norm.forward(before, tape, y);
  norm.backward_from_output(y, dy, tape, y);
  CHECK(same_bits(y, dx));
}

TEST_CASE("LayerNorm is PyTorch's, from its input and from its output") {
  const Golden<float> golden("nn_layer_norm_f32");
  const Vector<float> gamma = golden["gamma"].row(0), beta = golden["beta"].row(0);
  LayerNorm<float> norm(gamma, beta, {.epsilon = 1e-12, .trainable = true});
  REQUIRE(norm.gamma().name == "weight");
  Matrix<float> y, dx;
  Tape<float> tape;
  norm.forward(golden["x"], tape, y);
  const double tolerance = Tolerance<float>(37).value;
  CHECK(largest_difference(y, golden["y"]) <= tolerance);
  norm.backward(golden["x"], golden["dy"], tape, dx);
  CHECK(largest_difference(dx, golden["dx"]) <= tolerance);
  CHECK(largest_difference(norm.gamma().grad, golden["dgamma"]) <= tolerance);
  CHECK(largest_difference(norm.beta().grad, golden["dbeta"]) <= tolerance);

  zero_grad(norm.parameters());
  REQUIRE(norm.invertible());
  Matrix<float> in_place = golden["x"];
  norm.forward(in_place, tape, in_place);
  norm.backward_from_output(in_place, golden["dy"], tape, dx);
  // The division by gamma magnifies the rounding of y.
  const double magnified = tolerance / static_cast<double>(gamma.cwiseAbs().minCoeff());
  CHECK(largest_difference(dx, golden["dx"]) <= magnified);
  CHECK(largest_difference(norm.gamma().grad, golden["dgamma"]) <= magnified);
  CHECK(largest_difference(norm.beta().grad, golden["dbeta"]) <= tolerance);
  CHECK(tape.empty());
}

TEST_CASE("LayerNorm may write its output over its input and dx over dy") {
  const Matrix<float> x = random_matrix<float>(9, 33, 1), dy = random_matrix<float>(9, 33, 2);
  auto norm = make_norm<float>(33, {.trainable = true});
  Tape<float> tape;
  Matrix<float> y, dx, a = x, b = dy;
  norm.forward(x, tape, y);
  norm.backward(x, dy, tape, dx);
  const Matrix<float> dgamma = norm.gamma().grad;
  norm.forward(a, a);
  CHECK(same_bits(a, y));
  zero_grad(norm.parameters());
  norm.forward(x, tape, y);
  norm.backward(x, b, tape, b);
  CHECK(same_bits(b, dx));
  CHECK(same_bits(norm.gamma().grad, dgamma));
}

TEST_CASE("LayerNorm of a constant row is beta, and of large numbers finite") {
  auto norm = make_norm<float>(20, {.epsilon = 1e-5});
  Matrix<float> x = Matrix<float>::Constant(2, 20, 3.0F), y;
  x.row(1) = 1e6F * random_matrix<float>(1, 20, 1);
  norm.forward(x, y);
  CHECK(same_bits(y.row(0), norm.beta().value.row(0)));
  CHECK(y.allFinite());
}

TEST_CASE("LayerNorm refuses what does not fit") {
  const Vector<float> three = Vector<float>::Ones(3), two = Vector<float>::Ones(2);
  CHECK_THROWS_AS(LayerNorm<float>(three, two), ShapeError);
  CHECK_THROWS_AS(LayerNorm<float>(Vector<float>(), Vector<float>()), ShapeError);
  CHECK_THROWS_AS(LayerNorm<float>(three, three, {.epsilon = -1}), ConfigError);
  CHECK_THROWS_AS(
      LayerNorm<float>(three, three, {.epsilon = std::numeric_limits<double>::quiet_NaN()}),
      ConfigError);
  LayerNorm<float> norm(Vector<float>::Zero(3), three);
  CHECK_FALSE(norm.invertible());
  Tape<float> tape;
  Matrix<float> y, dx;
  norm.forward(random_matrix<float>(2, 3, 1), tape, y);
  CHECK_THROWS_AS(norm.backward_from_output(y, y, tape, dx), StateError);
  CHECK_THROWS_WITH(norm.forward(random_matrix<float>(2, 4, 1), y),
                    "LayerNorm::forward: x is (2, 4), expected (N, features = 3)");
}
