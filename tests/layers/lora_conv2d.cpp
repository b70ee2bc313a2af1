#include <lora/layers/lora_conv2d.hpp>

#include <lora/frozen/dense_weight.hpp>
#include <lora/frozen/half_weight.hpp>

#include <vector>

#include "contracts/lora_layer.hpp"
#include "support/golden.hpp"
#include "support/naive_conv2d.hpp"
#include "support/on_images.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

namespace {

// A layer whose B is not zero.
template <class T, class Frozen = PackedWeight<T>>
LoRAConv2d<T, Frozen> make_conv2d(Index out, Index channels, const Window& window,
                                  const LoRAConfig& config, bool with_bias = true) {
  Vector<T> bias;
  if (with_bias) bias = random_matrix<T>(out, 1, 7).col(0);
  LoRAConv2d<T, Frozen> layer(random_matrix<T>(out, channels * window.taps(), 8), window, config, 9,
                              bias);
  layer.lora_B().value = random_matrix<T>(out, config.rank, 10);
  return layer;
}

template <class T>
void give_norm(LoRAConv2d<T>& layer) {
  const Index out = layer.out_channels();
  layer.set_norm(random_matrix<T>(out, 1, 11).col(0), random_matrix<T>(out, 1, 12).col(0));
}

}  // namespace

TEMPLATE_TEST_CASE("a LoRA convolution is that of W + s B A, and its norm", "", float, double) {
  using T = TestType;
  for (const Window& window : all_windows())
    for (const Index channels : {1, 3, 20})
      for (const bool normed : {false, true}) {
        CAPTURE(window.kernel_height, window.kernel_width, window.stride_height, channels, normed);
        const Index out = 50;
        auto layer = make_conv2d<T>(out, channels, window, {.rank = 3, .alpha = 2, .dropout = 0.5});
        if (normed) give_norm(layer);
        const ImageShape in{2, 9, 7};
        const Matrix<T> x = random_matrix<T>(in.rows(), channels, 1);
        const Matrix<double> merged = layer.merged_weight().template cast<double>();
        Matrix<double> expected = naive_conv2d(x, in, merged, window);
        expected.rowwise() += layer.bias().value.row(0).template cast<double>();
        if (normed)
          expected =
              (expected.array().rowwise() *
               random_matrix<T>(out, 1, 11).col(0).template cast<double>().transpose().array())
                  .rowwise() +
              random_matrix<T>(out, 1, 12).col(0).template cast<double>().transpose().array();
        Matrix<T> y;
        layer.forward(x, in, y);
        REQUIRE(layer.output_shape(in).rows() == y.rows());
        CHECK(largest_difference(y, expected) <= Tolerance<T>(channels * window.taps(), 20).value);
        layer.merge();
        layer.forward(x, in, y);
        CHECK(largest_difference(y, expected) <= Tolerance<T>(channels * window.taps(), 20).value);
      }
}

TEST_CASE("every gradient of a LoRA convolution agrees with finite differences") {
  for (const Window& window : all_windows())
    for (const double dropout : {0.0, 0.4})
      for (const bool normed : {false, true}) {
        CAPTURE(window.kernel_height, window.kernel_width, window.stride_height, dropout, normed);
        auto layer = make_conv2d<double>(
            5, 2, window, {.rank = 3, .alpha = 4, .dropout = dropout, .train_bias = true});
        if (normed) give_norm(layer);
        const ImageShape in{2, 6, 7};
        Matrix<double> x = random_matrix<double>(in.rows(), 2, 1), y, dx;
        const Matrix<double> c =
            random_matrix<double>(layer.output_shape(in).rows(), layer.out_channels(), 2);
        Tape<double> tape;
        const auto state = tape.random_state();
        const auto loss = [&] {
          Tape<double> fresh;
          fresh.set_random_state(state);
          layer.forward(x, in, fresh, y);
          return (y.array() * c.array()).sum();
        };
        zero_grad(layer.parameters());
        layer.forward(x, in, tape, y);
        layer.backward(x, in, c, tape, dx);
        CHECK(tape.empty());
        CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
        for (Parameter<double>* parameter : layer.parameters()) {
          CAPTURE(parameter->name);
          CHECK(relative_error(parameter->grad, finite_difference(parameter->value, loss)) < 1e-6);
        }
      }
}

TEMPLATE_TEST_CASE("a LoRA convolution keeps the contract of a LoRA layer", "[threads]",
                   PackedWeight<float>, PackedWeight<double>, DenseWeight<float>) {
  using T = typename TestType::Scalar;
  for (const double dropout : {0.0, 0.2})
    for (const Window& window :
         {Window::square(3, 1, 1), Window{}, Window::square(3, 1, 2, 2, PaddingMode::replicate)}) {
      auto layer = make_conv2d<T, TestType>(70, 20, window,
                                            {.rank = 4, .dropout = dropout, .train_bias = true});
      check_lora_layer(OnImages<LoRAConv2d<T, TestType>>(std::move(layer), 6, 7), 84);
    }
}

TEST_CASE(
    "a LoRA convolution computes what PEFT's does, and with any window what merging promises") {
  struct Case {
    const char* name;
    ImageShape in;
    Window window;
    double alpha;
  };
  // Of dilations and padding modes PEFT 0.21.2 takes no notice in A: those are PyTorch's numbers.
  for (const auto& [name, in, window, alpha] :
       {Case{"conv2d", {2, 5, 4}, {3, 2, 2, 1, 1, 0}, 3},
        Case{"conv2d_dilation", {1, 6, 7}, {3, 3, 2, 2, 2, 2, 2, 3}, 8},
        Case{"conv2d_reflect", {1, 4, 5}, Window::square(3, 1, 2, 1, PaddingMode::reflect), 8},
        Case{"conv2d_replicate", {2, 3, 4}, {2, 3, 2, 2, 2, 1, 1, 1, PaddingMode::replicate}, 8},
        Case{"conv2d_circular", {1, 4, 3}, {3, 3, 2, 2, 1, 3, 1, 1, PaddingMode::circular}, 8}}) {
    CAPTURE(name);
    const Golden<double> golden(name, "layers");
    const LoRAConfig config{.rank = 2, .alpha = alpha};
    const Vector<double> bias = golden["bias"].row(0).transpose();
    LoRAConv2d<double> layer(golden["w"], window, config, 1, bias);
    layer.replace_adapter(config, std::vector{golden["a"], golden["b"]});
    Matrix<double> y, dx;
    Tape<double> tape;
    layer.forward(golden["x"], in, tape, y);
    CHECK(largest_difference(y, golden["y"]) < 1e-13);
    layer.backward(golden["x"], in, golden["dy"], tape, dx);
    CHECK(largest_difference(dx, golden["dx"]) < 1e-13);
    CHECK(largest_difference(layer.lora_A().grad, golden["da"]) < 1e-13);
    CHECK(largest_difference(layer.lora_B().grad, golden["db"]) < 1e-13);
    CHECK(largest_difference(layer.merged_weight(), golden["merged"]) < 1e-14);
  }
}

TEST_CASE("a convolution over a base in half precision computes with what that holds") {
  const Window window = Window::square(3, 2, 1);
  auto layer = make_conv2d<float, HalfWeight<float>>(70, 20, window, {.rank = 4});
  const ImageShape in{1, 9, 8};
  const Matrix<float> x = random_matrix<float>(in.rows(), 20, 1);
  const Matrix<double> expected = naive_conv2d(x, in, layer.merged_weight(), window).rowwise() +
                                  layer.bias().value.row(0).cast<double>();
  Matrix<float> y;
  layer.forward(x, in, y);
  CHECK(largest_difference(y, expected) <= Tolerance<float>(180, 20).value);
}

TEST_CASE("wide convolutions agree across panels and depth blocks, forwards and back") {
  // Taps of more channels than a depth block holds, and panels that begin within a tap.
  for (const auto& [out, channels] : {std::pair<Index, Index>{100, 400}, {260, 130}}) {
    CAPTURE(out, channels);
    for (const Index stride : {1, 2}) {
      const Window window = Window::square(3, stride, 1);
      auto layer = make_conv2d<double>(out, channels, window, {.rank = 2}, false);
      const ImageShape in{1, 4, 5};
      const Matrix<double> x = random_matrix<double>(in.rows(), channels, 1);
      const Matrix<double> w = layer.merged_weight();
      Matrix<double> y, dx;
      Tape<double> tape;
      layer.forward(x, in, tape, y);
      CHECK(largest_difference(y, naive_conv2d(x, in, w, window)) < 1e-10);
      const Matrix<double> dy = random_matrix<double>(y.rows(), out, 2);
      layer.backward(x, in, dy, tape, dx);
      // The transposed map: dx . v = dy . conv(v).
      const Matrix<double> v = random_matrix<double>(in.rows(), channels, 3);
      const double forward = (dy.array() * naive_conv2d(v, in, w, window).array()).sum();
      CHECK((dx.array() * v.array()).sum() == Approx(forward).epsilon(1e-10));
    }
  }
}

TEST_CASE("what does not fit a convolution is refused by name") {
  using Conv = LoRAConv2d<float>;
  const Matrix<float> w = random_matrix<float>(4, 18, 1);
  check_throws<ShapeError>([&] { Conv(w.leftCols(17), Window::square(3)); },
                           "LoRAConv2d: the weight has 17 columns, expected in_channels times the "
                           "9 elements of a kernel of 3 x 3");
  check_throws<ConfigError>([&] { Conv(w, Window::square(3, 0)); }, "stride is 0 x 0");
  Conv conv(w, Window::square(3), {.rank = 2}, 1);
  conv.set_name("stem");
  Matrix<float> y;
  const Matrix<float> x = random_matrix<float>(8, 2, 1);
  check_throws<ShapeError>(
      [&] {
        conv.forward(x, {1, 4, 2}, y);
      },
      "stem (LoRAConv2d::forward): images of 4 x 2 pixels");
  check_throws<ShapeError>([&] { conv.forward(x, {1, 3, 3}, y); }, "x is (8, 2), expected (9, 2)");
  check_throws<ShapeError>([&] { conv.set_norm(Vector<float>::Ones(3), {}); },
                           "expected 4 each, or none");
  // Another size of as many pixels in backward.
  const Conv padded = [&] {
    Conv made(w, Window::square(3, 1, 1), {.rank = 2}, 1);
    return made;
  }();
  Tape<float> tape;
  padded.forward(x, {1, 4, 2}, tape, y);
  Gradients<float> gradients(const_cast<Conv&>(padded).parameters());
  check_throws<StateError>(
      [&] {
        padded.backward(x, {1, 2, 4}, y, tape, gradients);
      },
      "the images are of another size");
}

TEST_CASE("a convolution with DoRA computes its definition, and a gradient of each factor") {
  for (const double dropout : {0.0, 0.4})
    for (const bool with_norm : {false, true}) {
      CAPTURE(dropout, with_norm);
      Window window = Window::square(3, 2, 1);
      if (with_norm) window.padding_mode = PaddingMode::reflect;
      const ImageShape in{2, 5, 6};
      auto layer = make_conv2d<double>(
          5, 4, window, {.rank = 3, .alpha = 2, .dropout = dropout, .use_dora = true});
      if (with_norm) give_norm(layer);
      layer.lora_magnitude().value.array() *= 1.5;
      CHECK(layer.lora_magnitude().shape() == std::vector<Index>{1, 5, 1, 1});
      Matrix<double> w = layer.weight().dense(), files(w.rows(), w.cols());
      kernels::to_file_order<double>(w, 4, files);
      w = files;
      const double s = layer.scaling();
      Matrix<double> a = layer.lora_A().value, b = layer.lora_B().value,
                     m = layer.lora_magnitude().value, x = random_matrix<double>(in.rows(), 4, 1);
      const Matrix<double> n = (w + s * b * a).rowwise().norm().transpose();
      Matrix<double> mask = Matrix<double>::Ones(x.rows(), x.cols());
      if (dropout > 0) {
        const auto kept = layer.adapter().dropout_mask(0, 4);
        for (Index i = 0; i < x.rows(); ++i) kept->fill(i, 0, 4, &mask(i, 0));
      }
      // PEFT's formula, the norms constant.
      const auto forward = [&] {
        const Matrix<double> dropped = x.cwiseProduct(mask);
        const Matrix<double> g = m.cwiseQuotient(n);
        Matrix<double> z = naive_conv2d(dropped, in, Matrix<double>(w + s * b * a), window);
        z = (z * g.row(0).asDiagonal() + naive_conv2d(Matrix<double>(x - dropped), in, w, window))
                .eval();
        z.rowwise() += layer.bias().value.row(0);
        if (!with_norm) return z;
        const Matrix<double> scale = random_matrix<double>(5, 1, 11),
                             shift = random_matrix<double>(5, 1, 12);
        z = (z * scale.col(0).asDiagonal()).eval();
        z.rowwise() += shift.col(0).transpose();
        return z;
      };
      Matrix<double> y, dx;
      Tape<double> tape;
      layer.forward(x, in, tape, y);
      CHECK(largest_difference(y, forward()) < 1e-12);
      const Matrix<double> c = random_matrix<double>(y.rows(), 5, 2), kept_x = x;
      layer.backward(x, in, c, tape, dx);
      const auto loss = [&] { return (forward().array() * c.array()).sum(); };
      CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
      CHECK(relative_error(layer.lora_A().grad, finite_difference(a, loss)) < 1e-6);
      CHECK(relative_error(layer.lora_B().grad, finite_difference(b, loss)) < 1e-6);
      CHECK(relative_error(layer.lora_magnitude().grad, finite_difference(m, loss)) < 1e-6);
      mask.setOnes();
      layer.forward(kept_x, in, y);
      CHECK(largest_difference(y, forward()) < 1e-12);
    }
}

TEST_CASE("a convolution with DoRA keeps the contract of LoRA layers") {
  auto layer = make_conv2d<float>(8, 5, Window::square(3, 1, 1), {.rank = 4, .use_dora = true});
  check_lora_layer(OnImages(layer, 3, 4), 24);
}
