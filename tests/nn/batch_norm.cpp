#include <lora/nn/batch_norm.hpp>

#include <limits>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

template <class T>
BatchNorm<T> some_norm(Index channels) {
  return BatchNorm<T>({random_matrix<T>(1, channels, 1), random_matrix<T>(1, channels, 2),
                       random_matrix<T>(1, channels, 3),
                       random_matrix<T>(1, channels, 4).cwiseAbs()});
}

}  // namespace

TEST_CASE("a batch norm with frozen statistics is an affine map, and its gradients are right") {
  auto norm = some_norm<double>(5);
  Matrix<double> x = random_matrix<double>(7, 5, 5), y, dx;
  const Matrix<double> c = random_matrix<double>(7, 5, 6);
  const auto [scale, shift] = norm.scale_and_shift();
  norm.forward(x, y);
  for (Index i = 0; i < 7; ++i)
    for (Index j = 0; j < 5; ++j) {
      const double expected = (x(i, j) - norm.running_mean()(0, j)) /
                                  std::sqrt(norm.running_var()(0, j) + 1e-5) *
                                  norm.weight().value(0, j) +
                              norm.bias().value(0, j);
      CHECK(y(i, j) == Approx(expected));
      CHECK(x(i, j) * scale[j] + shift[j] == Approx(expected));
    }
  const Matrix<double> mean = norm.running_mean();
  Tape<double> tape;
  norm.forward(x, tape, y);
  norm.backward(x, c, tape, dx);
  CHECK(tape.empty());
  CHECK(same_bits(norm.running_mean(), mean));
  const auto loss = [&] {
    norm.forward(x, y);
    return (y.array() * c.array()).sum();
  };
  CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
  for (Parameter<double>* parameter : norm.parameters())
    CHECK(relative_error(parameter->grad, finite_difference(parameter->value, loss)) < 1e-6);
}

TEST_CASE("a batch norm over its batch has the right gradients and moves its statistics") {
  auto norm = some_norm<double>(4);
  const auto start = norm;
  Matrix<double> x = random_matrix<double>(300, 4, 5), y, dx;
  const Matrix<double> c = random_matrix<double>(300, 4, 6);
  Tape<double> tape;
  norm.forward_batch(x, tape, y);
  for (Index j = 0; j < 4; ++j) {
    const double mean = x.col(j).mean();
    const double variance = (x.col(j).array() - mean).square().sum() / 300;
    CHECK(y(9, j) ==
          Approx((x(9, j) - mean) / std::sqrt(variance + 1e-5) * norm.weight().value(0, j) +
                 norm.bias().value(0, j)));
    // PyTorch: the mean, and the variance divided by N - 1, by a tenth.
    CHECK(norm.running_mean()(0, j) == Approx(0.9 * start.running_mean()(0, j) + 0.1 * mean));
    CHECK(norm.running_var()(0, j) ==
          Approx(0.9 * start.running_var()(0, j) + 0.1 * variance * 300 / 299));
  }
  norm.backward(x, c, tape, dx);
  const auto loss = [&] {
    auto copy = start;
    copy.weight().value = norm.weight().value;
    copy.bias().value = norm.bias().value;
    Tape<double> other;
    copy.forward_batch(x, other, y);
    return (y.array() * c.array()).sum();
  };
  CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
  for (Parameter<double>* parameter : norm.parameters())
    CHECK(relative_error(parameter->grad, finite_difference(parameter->value, loss)) < 1e-6);
}

TEST_CASE("a batch norm gives the same bits for any number of threads, and allocates once") {
  const Matrix<float> x = random_matrix<float>(3000, 70, 1), dy = random_matrix<float>(3000, 70, 2);
  Matrix<float> y_one, dx_one, grad_one;
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    auto norm = some_norm<float>(70);
    Tape<float> tape;
    Matrix<float> y, dx;
    norm.forward_batch(x, tape, y);
    norm.backward(x, dy, tape, dx);
    if (count == 1) {
      y_one = y;
      dx_one = dx;
      grad_one = norm.weight().grad;
    }
    CHECK(same_bits(y, y_one));
    CHECK(same_bits(dx, dx_one));
    CHECK(same_bits(norm.weight().grad, grad_one));
  }
  const Threads counted(countable_threads(2));
  auto norm = some_norm<float>(70);
  Tape<float> tape;
  Matrix<float> y, dx;
  const auto step = [&] {
    norm.forward_batch(x, tape, y);
    norm.backward(x, dy, tape, dx);
    norm.forward(x, tape, y);
    norm.backward(x, dy, tape, dx);
  };
  step();
  CHECK(allocations_of(step).count == 0);
}

TEST_CASE("a batch norm refuses what is none") {
  CHECK_THROWS_AS(BatchNorm<float>(0), ShapeError);
  const Matrix<float> one = Matrix<float>::Ones(1, 3), two = Matrix<float>::Ones(1, 2);
  CHECK_THROWS_AS(BatchNorm<float>({one, one, two, one}), ShapeError);
  check_throws<ConfigError>(
      [&] {
        BatchNorm<float>({one, one, one, -one});
      },
      "running_var has a number below 0");
  check_throws<ConfigError>([&] { BatchNorm<float>(3, 0); }, "eps is 0");
  check_throws<ConfigError>([&] { BatchNorm<float>(3, 1e-5, 1.5); }, "momentum is 1.5");
  BatchNorm<float> norm(3);
  norm.set_name("layer1.0.bn1");
  Matrix<float> y;
  Tape<float> tape;
  check_throws<ShapeError>([&] { norm.forward_batch(one, tape, y); },
                           "layer1.0.bn1 (BatchNorm::forward_batch): x has 1 rows, expected at");
  check_throws<ShapeError>([&] { norm.forward(two, y); }, "layer1.0.bn1 (BatchNorm::forward): x");
  CHECK_THROWS_AS(norm.backward(one, one, tape, y), StateError);
  CHECK(norm.bias().name == "layer1.0.bn1.bias");
  CHECK(norm.statistics()[1]->name == "layer1.0.bn1.running_var");
  norm.statistics()[1]->value(0, 1) = -1;
  check_throws<ConfigError>([&] { norm.forward(one, y); },
                            "layer1.0.bn1 (BatchNorm): running_var has a number below 0");
}
