#pragma once

#include <utility>

#include <lora/core/gradients.hpp>
#include <lora/core/image_shape.hpp>
#include <lora/core/output.hpp>
#include <lora/core/tape.hpp>

namespace lora::test {

/// A convolution of images of one size, to be checked as any other layer: its rows are the pixels
/// of as many images as there are, where x and y have as many pixels.
template <class Layer>
class OnImages : public Layer {
 public:
  using T = typename Layer::Scalar;
  OnImages(Layer layer, Index height, Index width)
      : Layer(std::move(layer)), height_(height), width_(width) {}

  [[nodiscard]] Index in_features() const { return this->in_channels(); }
  [[nodiscard]] Index out_features() const { return this->out_channels(); }

  void forward(ConstMatrixRef<T> x, Output<T> y) const { Layer::forward(x, size(x), y); }
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, Output<T> y) const {
    Layer::forward(x, size(x), tape, y);
  }
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape, Output<T> dx) {
    Layer::backward(x, size(x), dy, tape, dx);
  }
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape) {
    Layer::backward(x, size(x), dy, tape);
  }
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients, Output<T> dx) const {
    Layer::backward(x, size(x), dy, tape, gradients, dx);
  }
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients) const {
    Layer::backward(x, size(x), dy, tape, gradients);
  }

 private:
  // Of no whole image where rows are missing: as long as it is wide.
  [[nodiscard]] ImageShape size(const ConstMatrixRef<T>& x) const {
    const Index pixels = height_ * width_;
    if (x.rows() % pixels == 0) return {x.rows() / pixels, height_, width_};
    return {1, x.rows(), 1};
  }
  Index height_, width_;
};

}  // namespace lora::test
