#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

#include "lora/core/gradients.hpp"
#include "lora/core/image_shape.hpp"
#include "lora/core/output.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/parameter_name.hpp"
#include "lora/core/place.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/tape.hpp"
#include "lora/init/kaiming_uniform.hpp"
#include "lora/kernels/conv2d_product.hpp"
#include "lora/kernels/image_padding.hpp"
#include "lora/kernels/kernel_order.hpp"
#include "lora/kernels/window.hpp"
#include "lora/nn/bias_gradient.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// A convolution y = x * W + b that trains as a whole: for a network that is trained from scratch,
/// and for full fine-tuning to compare LoRA with. Images are matrices, one row a pixel, channels
/// last; W is (out_channels, in_channels, height, width) as PyTorch's Conv2d has it, b
/// (out_channels) may be left out.
///
/// Const calls may come from several threads at once, each with a tape and Gradients of its own. A
/// second call of the same shapes allocates nothing.
template <class T>
class Conv2d {
 public:
  using Scalar = T;

  /// Draws W from `seed`, uniform on +-1 / sqrt(in_channels * height * width) as torch.nn.Conv2d
  /// does, without a bias. Throws ConfigError for a window out of range and ShapeError for sizes
  /// below 1.
  Conv2d(Index out_channels, Index in_channels, const Window& window, std::uint64_t seed)
      : Conv2d(new_weight(out_channels, in_channels, window, seed), window) {}

  /// Takes W (out_channels, in_channels * height * width), its memory that of PyTorch's tensor, and
  /// a bias (out_channels) or none. Throws as above.
  Conv2d(Matrix<T> weight, const Window& window, const Vector<T>& bias = {}) : window_(window) {
    validate(window, "Conv2d");
    if (weight.rows() < 1 || weight.cols() < 1 || weight.cols() % window.taps() != 0)
      throw ShapeError(message("Conv2d: the weight is ", shape_of(weight),
                               ", expected (out_channels, in_channels * ", window.taps(), ")"));
    if (bias.size() != 0 && bias.size() != weight.rows())
      throw ShapeError(message("Conv2d: bias has ", bias.size(),
                               " elements, expected none or out_channels = ", weight.rows()));
    const Index channels = weight.cols() / window.taps();
    std::vector<Index> shape{weight.rows(), channels, window.kernel_height, window.kernel_width};
    weight_ = Parameter<T>("", std::move(weight), std::move(shape));
    bias_ = Parameter<T>("", Matrix<T>(bias.transpose()), {bias.size()});
    set_name("");
  }

  /// Returns the size of y for images of size `in`. Throws ShapeError.
  [[nodiscard]] ImageShape output_shape(const ImageShape& in) const {
    return lora::output_shape(window_, in, place("Conv2d::output_shape"));
  }

  /// Computes y (pixels, out_channels) for images x (in.rows(), in_channels). Throws ShapeError.
  void forward(ConstMatrixRef<T> x, const ImageShape& in, Output<T> y) const {
    const Place where = place("Conv2d::forward");
    require_pixels(x, in, in_channels(), where, "x");
    const ImageShape out = lora::output_shape(window_, in, where);
    MatrixRef<T> to = y.shaped(out.rows(), out_channels(), where, "y", {x});
    Scratch scratch;
    const ConstMatrixRef<T> w = ordered(scratch);
    const kernels::MatrixPanels<T> right{kernels::columns_of(w.data(), w.outerStride(), false)};
    const MatrixRef<T> none(nullptr, 0, 0, 0);
    const auto images = kernels::padded_images<T>(window_, in, x, scratch);
    kernels::conv2d_forward<T>({images.x, kernels::window_taps(images.window, images.in, out)},
                               right, has_bias() ? bias_.value.data() : nullptr, nullptr,
                               {none, none}, {to.leftCols(0), {}, T(0)}, to);
  }

  /// Computes the same and notes x on the tape, for backward to check.
  void forward(ConstMatrixRef<T> x, const ImageShape& in, Tape<T>& tape, Output<T> y) const {
    forward(x, in, y);
    auto& frame = tape.push(this, name_.empty() ? std::string_view("a Conv2d") : name_,
                            lora::output_shape(window_, in, "Conv2d").rows());
    frame.note_input(x);
    frame.note_input(weight_.value);
  }

  /// Adds to the gradients of W and b, and computes dx (in.rows(), in_channels) for dy (pixels,
  /// out_channels). x and `in` are the forward's. dx is no part of x or dy. Throws ShapeError and
  /// StateError, before anything changes.
  void backward(ConstMatrixRef<T> x, const ImageShape& in, ConstMatrixRef<T> dy, Tape<T>& tape,
                Output<T> dx) {
    run_backward(x, in, dy, tape, GradientTarget<T>::own(), &dx);
  }

  /// Does the same without dx.
  void backward(ConstMatrixRef<T> x, const ImageShape& in, ConstMatrixRef<T> dy, Tape<T>& tape) {
    run_backward(x, in, dy, tape, GradientTarget<T>::own(), nullptr);
  }

  /// Computes dx, and adds to `gradients` instead of the layer's own.
  void backward(ConstMatrixRef<T> x, const ImageShape& in, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients, Output<T> dx) const {
    run_backward(x, in, dy, tape, gradients, &dx);
  }

  /// Does the same without dx.
  void backward(ConstMatrixRef<T> x, const ImageShape& in, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients) const {
    run_backward(x, in, dy, tape, gradients, nullptr);
  }

  [[nodiscard]] Index in_channels() const { return weight_.value.cols() / window_.taps(); }
  [[nodiscard]] Index out_channels() const { return weight_.value.rows(); }
  [[nodiscard]] const Window& window() const { return window_; }
  [[nodiscard]] bool has_bias() const { return bias_.value.size() != 0; }

  [[nodiscard]] Parameter<T>& weight() { return weight_; }
  [[nodiscard]] const Parameter<T>& weight() const { return weight_; }
  [[nodiscard]] Parameter<T>& bias() { return bias_; }
  [[nodiscard]] const Parameter<T>& bias() const { return bias_; }

  /// Lists W and b.
  [[nodiscard]] ParameterList<T> parameters() {
    ParameterList<T> list;
    list.add(weight_);
    if (has_bias()) list.add(bias_);
    return list;
  }

  [[nodiscard]] const std::string& name() const { return name_; }

  /// Names the layer; its parameters are then `name.weight` and `name.bias`, as in PyTorch.
  void set_name(const std::string& name) {
    name_ = name;
    weight_.name = parameter_name(name, "weight");
    bias_.name = parameter_name(name, "bias");
  }

 private:
  static Matrix<T> new_weight(Index out_channels, Index in_channels, const Window& window,
                              std::uint64_t seed) {
    validate(window, "Conv2d");
    if (out_channels < 1 || in_channels < 1)
      throw ShapeError(message("Conv2d: there are ", out_channels, " and ", in_channels,
                               " channels, expected at least 1"));
    Matrix<T> weight(out_channels, in_channels * window.taps());
    kaiming_uniform<T>(weight, Random(seed, RandomStream::initialisation));
    return weight;
  }

  [[nodiscard]] Place place(const char* call) const { return {call, name_}; }

  // W in the order of patches.
  [[nodiscard]] ConstMatrixRef<T> ordered(Scratch& scratch) const {
    MatrixRef<T> w = scratch.matrix<T>(weight_.value.rows(), weight_.value.cols());
    kernels::to_tap_order<T>(weight_.value, in_channels(), w);
    return w;
  }

  void run_backward(ConstMatrixRef<T> x, const ImageShape& in, ConstMatrixRef<T> dy, Tape<T>& tape,
                    GradientTarget<T> gradients, const Output<T>* dx) const {
    const Place where = place("Conv2d::backward");
    require_pixels(x, in, in_channels(), where, "x");
    const ImageShape out = lora::output_shape(window_, in, where);
    require_pixels(dy, out, out_channels(), where, "dy");
    const auto& frame = tape.top(this, dy.rows(), where);
    frame.require_input(x, where);
    frame.mark(1).require_elements(weight_.value, where, "the weight");
    MatrixRef<T> dw = gradients.of(weight_);
    const MatrixRef<T> none(nullptr, 0, 0, 0);
    const MatrixRef<T> dbias = has_bias() ? gradients.of(bias_) : none;
    const MatrixRef<T> to =
        dx != nullptr ? dx->shaped(x.rows(), in_channels(), where, "dx", {x, dy}) : none;
    if (has_bias()) add_bias_gradient<T>(dy, dbias);
    Scratch scratch;
    MatrixRef<T> ordered_dw = scratch.matrix<T>(dw.rows(), dw.cols());
    ordered_dw.setZero();
    const auto images = kernels::padded_images<T>(window_, in, x, scratch);
    kernels::add_conv2d_kernel_gradient<T>(images.window, images.in, out, dy, images.x, T(1),
                                           ordered_dw);
    kernels::add_in_file_order<T>(ordered_dw, in_channels(), dw);
    if (dx != nullptr) {
      const ConstMatrixRef<T> w = ordered(scratch);
      const kernels::MatrixPanels<T> right{kernels::columns_of(w.data(), w.outerStride(), true)};
      kernels::conv2d_images_gradient<T>(window_, in, out, dy, right, nullptr, {none, none}, T(0),
                                         to);
    }
    tape.pop();
  }

  std::string name_;
  Window window_;
  Parameter<T> weight_;
  Parameter<T> bias_;
};

}  // namespace lora
