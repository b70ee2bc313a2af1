#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "lora/core/scratch.hpp"
#include "lora/models/common/module_conv_norm.hpp"
#include "lora/models/resnet/resnet_block_sizes.hpp"
#include "lora/models/resnet/resnet_names.hpp"
#include "lora/nn/relu.hpp"

namespace lora::models {

/// A block of a ResNet: y = relu(c_n(relu(... c_1(x))) + shortcut(x)), each c a convolution and its
/// norm, the shortcut one as well or x itself.
template <class T, class Frozen>
class ResNetBlock {
 public:
  /// Loads the block called `name`. Throws FileError and ConfigError.
  ResNetBlock(ModelBuilder<T>& builder, const ResNetNames& names, const std::string& name,
              const ResNetBlockSizes& sizes)
      : name_(name) {
    for (std::size_t j = 0; j < sizes.convolutions.size(); ++j)
      convolutions_.emplace_back(builder, names.convolution(name, static_cast<Index>(j)),
                                 sizes.convolutions[j]);
    if (sizes.shortcut) shortcut_.emplace(builder, names.shortcut(name), *sizes.shortcut);
  }

  /// Returns the size of y for images of size `in`.
  [[nodiscard]] ImageShape output_shape(ImageShape in) const {
    for (const auto& convolution : convolutions_) in = convolution.output_shape(in);
    return in;
  }

  [[nodiscard]] Index out_channels() const { return convolutions_.back().out_channels(); }

  /// Computes y (pixels, out) for x (in.rows(), in); with a tape with dropout, and it keeps what
  /// backward needs. With a pointer to AdapterRoutes each image has its adapter; see
  /// ModuleConvNorm.
  template <class Routes = std::nullptr_t>
  void forward(ConstMatrixRef<T> x, const ImageShape& in, Tape<T>* tape, MatrixRef<T> y,
               Routes routes = nullptr) const {
    auto* const frame = tape == nullptr ? nullptr : &tape->push(this, name_, y.rows());
    Scratch scratch;
    ConstMatrixRef<T> input = x;
    ImageShape shape = in;
    for (const auto& convolution : convolutions_) {
      const ImageShape out = convolution.output_shape(shape);
      const bool last = &convolution == &convolutions_.back();
      const auto place = [&] {
        const Index channels = convolution.out_channels();
        return frame == nullptr ? scratch.matrix<T>(out.rows(), channels)
                                : frame->keep(out.rows(), channels);
      };
      const MatrixRef<T> result = last ? y : place();
      convolution.forward(input, shape, tape, result, routes);
      if (!last) relu<T>(result, result);
      std::construct_at(&input, result);
      shape = out;
    }
    if (!shortcut_) return add_and_relu<T>(x, y);
    const MatrixRef<T> beside = scratch.matrix<T>(y.rows(), y.cols());
    shortcut_->forward(x, in, tape, beside, routes);
    add_and_relu<T>(beside, y);
  }

  /// Adds to the gradients of what trains and computes dx (in.rows(), in), or not where that is
  /// null. x is the block's input, the output of the relu below. dy (pixels, out) and dx are the
  /// gradients of what the two relus are given, the block's last and the one below; dy is working
  /// memory afterwards.
  void backward(ConstMatrixRef<T> x, const ImageShape& in, MatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> target, const MatrixRef<T>* dx) const {
    auto& frame = tape.find(this, name_);
    Scratch scratch;
    const MatrixRef<T> beside =
        scratch.matrix<T>(shortcut_ && dx != nullptr ? x.rows() : 0, x.cols());
    if (shortcut_) {
      // The convolutions need dy after it.
      Scratch inner;
      const bool copies = shortcut_->uses_up_dy();
      const MatrixRef<T> copy = inner.matrix<T>(copies ? dy.rows() : 0, dy.cols());
      MatrixRef<T> to = copies ? copy : dy;
      if (copies) to = dy;
      shortcut_->backward(x, in, to, tape, target, dx == nullptr ? nullptr : &beside);
    }
    // dy stays as it is where it is itself a part of dx.
    const bool keep = !shortcut_ && dx != nullptr && convolutions_.back().uses_up_dy();
    MatrixRef<T> gradient = keep ? scratch.matrix<T>(dy.rows(), dy.cols()) : dy;
    if (keep) gradient = dy;
    std::array<ImageShape, 4> shapes{in};
    for (std::size_t j = 0; j < convolutions_.size(); ++j)
      shapes[j + 1] = convolutions_[j].output_shape(shapes[j]);
    for (std::size_t j = convolutions_.size(); j-- > 1;) {
      const MatrixRef<T> input = frame.kept(j - 1);
      const MatrixRef<T> below = scratch.matrix<T>(input.rows(), input.cols());
      convolutions_[j].backward(input, shapes[j], gradient, tape, target, &below);
      relu_backward<T>(input, below, below);
      std::construct_at(&gradient, below);
    }
    convolutions_[0].backward(x, in, gradient, tape, target, dx);
    if (dx != nullptr) add_and_relu_backward<T>(x, shortcut_ ? beside : dy, *dx);
    static_cast<void>(tape.top(this, dy.rows(), name_));
    tape.pop();
  }

  /// Moves the norms' statistics; see ModuleConvNorm.
  void move_statistics(Tape<T>& tape) {
    if (shortcut_) shortcut_->move_statistics(tape);
    for (auto& convolution : convolutions_) convolution.move_statistics(tape);
  }

  /// Adds all tensors as they are now; see ModuleConvNorm.
  void add_tensors(std::vector<io::Tensor>& tensors) {
    if (shortcut_) shortcut_->add_tensors(tensors);
    for (auto& convolution : convolutions_) convolution.add_tensors(tensors);
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    if (shortcut_) shortcut_->list(list);
    for (auto& convolution : convolutions_) convolution.list(list);
  }

  /// Calls action(layer) with each LoRAConv2d that has an adapter.
  template <class Action>
  void for_each_adapted(const Action& action) {
    if (shortcut_) shortcut_->for_each_adapted(action);
    for (auto& convolution : convolutions_) convolution.for_each_adapted(action);
  }

 private:
  std::string name_;
  std::vector<ModuleConvNorm<T, Frozen>> convolutions_;
  std::optional<ModuleConvNorm<T, Frozen>> shortcut_;
};

}  // namespace lora::models
