#include <lora/nn/linear.hpp>

#include "contracts/trainable_layer.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("Linear keeps the contract of a trainable layer") {
  Linear<double> small(5, 7, 1);
  check_gradients(small, 6, 2);
  Linear<float> large(510, 770, 1);
  check_bad_shapes(large);
  check_second_step_allocates_nothing(large, 40);
  check_thread_independence(large, 200);
  Linear<float> other(20, 33, 1);
  check_callers_memory(other, 5);
  check_overlap_refused(other, 5);
  check_outside_gradients(other, 5);
  check_input_is_remembered(other, 5);
}

TEST_CASE("two threads train one Linear", "[threads]") {
  Linear<float> layer(40, 70, 1);
  check_two_threads_train(layer, 12);
}

TEST_CASE("Linear gives dx the memory of x, and refuses to write over what it reads") {
  Linear<float> layer(6, 6, 1);
  Matrix<float> x = random_matrix<float>(4, 6, 1), y, dx;
  const Matrix<float> dy = random_matrix<float>(4, 6, 2);
  Tape<float> tape;
  check_throws<ShapeError>([&] { layer.forward(x, x); }, "Linear::forward: y overlaps an input");
  layer.forward(x, tape, y);
  layer.backward(x, dy, tape, dx);
  const Matrix<float> dw = layer.weight().grad;
  zero_grad(layer.parameters());
  layer.forward(x, tape, y);
  Matrix<float> same = dy;
  check_throws<ShapeError>([&] { layer.backward(x, same, tape, same); },
                           "Linear::backward: dx overlaps an input");
  layer.backward(x, dy, tape, x);
  CHECK(same_bits(x, dx));
  CHECK(same_bits(layer.weight().grad, dw));
}

TEST_CASE("Linear refuses an x that lies elsewhere, and names itself, the shape and its columns") {
  Linear<float> layer(8, 6, 1);
  layer.set_name("encoder.layer.7.value");
  const Matrix<float> x = random_matrix<float>(4, 6, 1), copy = x;
  Matrix<float> y;
  Tape<float> tape;
  layer.forward(x, tape, y);
  check_throws<StateError>([&] { layer.backward(copy, y, tape); },
                           "encoder.layer.7.value (Linear::backward): x lies elsewhere");
  check_throws<ShapeError>([&] { layer.backward(x, x, tape); },
                           "encoder.layer.7.value (Linear::backward): dy is (4, 6), expected "
                           "(4, out_features = 8)");
  Linear<float> other(8, 6, 1);
  check_throws<StateError>([&] { other.backward(x, y, tape); },
                           "Linear::backward: the newest forward on the tape is of "
                           "encoder.layer.7.value");
}

TEST_CASE("Linear refuses a backward with another weight than forward's") {
  Linear<float> layer(8, 6, 1);
  const Matrix<float> x = random_matrix<float>(4, 6, 1);
  Matrix<float> y, dx;
  Tape<float> tape;
  layer.forward(x, tape, y);
  layer.weight().value *= 2;  // as an optimizer's step does
  check_throws<StateError>([&] { layer.backward(x, y, tape, dx); },
                           "Linear::backward: the elements of the weight are not those");
  CHECK(layer.weight().grad.isZero(0));
}

TEST_CASE("Linear starts as torch's does and refuses empty shapes") {
  Linear<float> layer(30, 400, 1);
  CHECK(layer.weight().value.cwiseAbs().maxCoeff() < 0.05F);
  CHECK(layer.bias().value.cwiseAbs().maxCoeff() < 0.05F);
  CHECK(layer.bias().value.norm() > 0);
  layer.set_name("classifier");
  CHECK(layer.parameters()[0]->name == "classifier.weight");
  CHECK(layer.parameters()[1]->name == "classifier.bias");
  CHECK(layer.trainable_parameters() == 30 * 401);
  CHECK_THROWS_AS((Linear<float>(0, 4, 1)), ShapeError);
  CHECK_THROWS_AS((Linear<float>(4, -1, 1)), ShapeError);
}

TEST_CASE("a layer is made of a weight and a bias, or none") {
  const Matrix<double> w = random_matrix<double>(5, 4, 1);
  const Vector<double> b = random_matrix<double>(5, 1, 2).col(0);
  Linear<double> with(w, b), without(w);
  CHECK(with.has_bias());
  CHECK(!without.has_bias());
  CHECK(with.parameters().size() == 2);
  CHECK(without.parameters().size() == 1);
  CHECK(without.total_parameters() == 20);
  const Matrix<double> x = random_matrix<double>(3, 4, 3);
  Matrix<double> y, y_without;
  with.forward(x, y);
  without.forward(x, y_without);
  Matrix<double> expected = x * w.transpose();
  CHECK(largest_difference(y_without, expected) <= Tolerance<double>(4).value);
  expected.rowwise() += b.transpose();
  CHECK(largest_difference(y, expected) <= Tolerance<double>(4).value);
  check_gradients(with, 3, 4);
  check_gradients(without, 3, 4);
  CHECK_THROWS_AS(Linear<double>(w, Vector<double>::Zero(4)), ShapeError);
  CHECK_THROWS_AS(Linear<double>(Matrix<double>(0, 4)), ShapeError);
}
