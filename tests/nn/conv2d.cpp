#include <lora/nn/conv2d.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/naive_conv2d.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("a convolution that trains as a whole computes and has the gradients of its definition") {
  for (const Window& window : all_windows())
    for (const bool with_bias : {false, true}) {
      CAPTURE(window.kernel_height, window.kernel_width, window.stride_height, with_bias);
      const ImageShape in{2, 6, 7};
      Vector<double> bias;
      if (with_bias) bias = random_matrix<double>(5, 1, 3).col(0);
      Conv2d<double> conv(random_matrix<double>(5, 2 * window.taps(), 1), window, bias);
      Matrix<double> x = random_matrix<double>(in.rows(), 2, 2), y, dx;
      Matrix<double> expected = naive_conv2d(x, in, conv.weight().value, window);
      if (with_bias) expected.rowwise() += bias.transpose();
      const Matrix<double> c = random_matrix<double>(conv.output_shape(in).rows(), 5, 4);
      Tape<double> tape;
      conv.forward(x, in, tape, y);
      CHECK(largest_difference(y, expected) < 1e-12);
      conv.backward(x, in, c, tape, dx);
      CHECK(tape.empty());
      const auto loss = [&] {
        conv.forward(x, in, y);
        return (y.array() * c.array()).sum();
      };
      CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
      for (Parameter<double>* parameter : conv.parameters())
        CHECK(relative_error(parameter->grad, finite_difference(parameter->value, loss)) < 1e-6);
    }
}

TEST_CASE("a new convolution is drawn as PyTorch draws one") {
  const Conv2d<float> conv(40, 10, Window::square(3, 1, 1), 1);
  CHECK(conv.weight().shape() == std::vector<Index>{40, 10, 3, 3});
  CHECK(conv.weight().value.cwiseAbs().maxCoeff() < 1 / std::sqrt(90.0F));
  CHECK(conv.weight().value.cwiseAbs().maxCoeff() > 0.99F / std::sqrt(90.0F));
  CHECK(!conv.has_bias());
  CHECK_THROWS_AS(Conv2d<float>(0, 3, Window{}, 1), ShapeError);
  check_throws<ShapeError>(
      [] { Conv2d<float>(Matrix<float>::Zero(3, 10), Window::square(3)); },
      "Conv2d: the weight is (3, 10), expected (out_channels, in_channels * 9)");
}

TEST_CASE("a convolution's second step allocates nothing, and a stranger's x is refused") {
  const Threads counted(countable_threads(2));
  Conv2d<float> conv(24, 16, Window::square(3, 2, 1), 1);
  conv.set_name("stem");
  const ImageShape in{2, 12, 12};
  const Matrix<float> x = random_matrix<float>(in.rows(), 16, 2), other = x;
  Matrix<float> y, dx;
  Tape<float> tape;
  const auto step = [&] {
    conv.forward(x, in, tape, y);
    conv.backward(x, in, y, tape, dx);
  };
  step();
  CHECK(allocations_of(step).count == 0);
  conv.forward(x, in, tape, y);
  check_throws<StateError>([&] { conv.backward(other, in, y, tape); },
                           "stem (Conv2d::backward): x");
  check_throws<ShapeError>([&] { conv.backward(x, {2, 12, 11}, y, tape); }, "x is (288, 16)");
  conv.backward(x, in, y, tape);
}
