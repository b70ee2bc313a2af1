#pragma once

#include <cstdint>
#include <vector>

#include "lora/core/gradients.hpp"
#include "lora/core/image_shape.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/output.hpp"
#include "lora/core/tape.hpp"
#include "lora/frozen/packed_weight.hpp"
#include "lora/kernels/window.hpp"
#include "lora/layers/adapter_tensor.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/layers/lora_conv2d.hpp"

namespace lora {

/// The size of a batch of sequences that lie as a matrix (sequences * length, channels): one row
/// for each place, one sequence after the other.
struct SequenceShape {
  Index sequences = 1;
  Index length = 1;

  /// Returns the number of places, which are the rows of the matrix.
  [[nodiscard]] Index rows() const { return sequences * length; }

  /// Returns the same as images of one row of pixels.
  [[nodiscard]] ImageShape as_images() const { return {sequences, 1, length}; }

  friend bool operator==(const SequenceShape&, const SequenceShape&) = default;
};

/// The window of a convolution along sequences; see Window.
struct Window1d {
  Index kernel = 1;
  Index stride = 1;
  Index padding = 0;
  Index dilation = 1;
  PaddingMode padding_mode = PaddingMode::zeros;

  /// Returns the same as a window of one row.
  [[nodiscard]] Window as_window() const {
    return {1, kernel, 1, stride, 0, padding, 1, dilation, padding_mode};
  }
};

/// A frozen convolution along sequences with a set of trainable low-rank updates (PEFT 0.21's
/// lora.Conv1d over torch.nn.Conv1d; GPT-2's Conv1D is a linear layer). It is a LoRAConv2d over
/// images of one row, with its formulas, verbs and promises; error messages speak of such images.
///
/// x is (places, in_channels), one row for each place, where PyTorch has (N, channels, length); y
/// is (places, out_channels). W is (out_channels, in_channels, kernel); in files A is (rank,
/// in_channels, kernel) and B (out_channels, rank, 1). With groups see LoRAConv2d.
template <class T, class Frozen = PackedWeight<T>>
requires PanelWeight<Frozen, T>
class LoRAConv1d : public LoRAConv2d<T, Frozen> {
  using Base = LoRAConv2d<T, Frozen>;

 public:
  /// Wraps a kernel without an adapter. `weight` is (out_channels, in_channels / groups * kernel),
  /// its memory that of PyTorch's tensor; `bias` is empty or (out_channels). Throws ConfigError and
  /// ShapeError as LoRAConv2d does.
  LoRAConv1d(ConstMatrixRef<T> weight, const Window1d& window, const Vector<T>& bias = {},
             Groups groups = {})
      : Base(weight, window.as_window(), bias, groups) {}

  /// Wraps a kernel with an active adapter called "default", drawn from `seed`. Throws as above,
  /// and ConfigError for settings out of range.
  LoRAConv1d(ConstMatrixRef<T> weight, const Window1d& window, const LoRAConfig& config,
             std::uint64_t seed, const Vector<T>& bias = {}, Groups groups = {})
      : Base(weight, window.as_window(), config, seed, bias, groups) {}

  /// Returns the size of y for sequences of size `in`. Throws ShapeError.
  [[nodiscard]] SequenceShape output_shape(const SequenceShape& in) const {
    return {in.sequences, Base::output_shape(in.as_images()).width};
  }

  /// Computes y (places, out_channels) for x (in.rows(), in_channels), without dropout. Throws
  /// ShapeError.
  void forward(ConstMatrixRef<T> x, const SequenceShape& in, Output<T> y) const {
    Base::forward(x, in.as_images(), y);
  }

  /// Computes a mixed batch, without dropout: each sequence with the adapter that `routes` names
  /// for it; see LoRAConv2d.
  void forward(ConstMatrixRef<T> x, const SequenceShape& in, const AdapterRoutes& routes,
               Output<T> y) const {
    Base::forward(x, in.as_images(), routes, y);
  }

  /// Computes y with dropout, and leaves on the tape what backward needs. x stays as it is until
  /// then. Throws ShapeError, and StateError while merged.
  void forward(ConstMatrixRef<T> x, const SequenceShape& in, Tape<T>& tape, Output<T> y) const {
    Base::forward(x, in.as_images(), tape, y);
  }

  /// Computes a mixed batch with dropout, and leaves on the tape what backward needs; see
  /// LoRAConv2d.
  void forward(ConstMatrixRef<T> x, const SequenceShape& in, const AdapterRoutes& routes,
               Tape<T>& tape, Output<T> y) const {
    Base::forward(x, in.as_images(), routes, tape, y);
  }

  /// Adds to the gradients of A, B (and whatever else trains), and computes dx (in.rows(),
  /// in_channels) for dy (places, out_channels). Throws ShapeError and StateError, before anything
  /// changes.
  void backward(ConstMatrixRef<T> x, const SequenceShape& in, ConstMatrixRef<T> dy, Tape<T>& tape,
                Output<T> dx) {
    Base::backward(x, in.as_images(), dy, tape, dx);
  }

  /// Does the same without dx.
  void backward(ConstMatrixRef<T> x, const SequenceShape& in, ConstMatrixRef<T> dy, Tape<T>& tape) {
    Base::backward(x, in.as_images(), dy, tape);
  }

  /// Computes dx, and adds to `gradients` instead of the layer's own.
  void backward(ConstMatrixRef<T> x, const SequenceShape& in, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients, Output<T> dx) const {
    Base::backward(x, in.as_images(), dy, tape, gradients, dx);
  }

  /// Does the same without dx.
  void backward(ConstMatrixRef<T> x, const SequenceShape& in, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients) const {
    Base::backward(x, in.as_images(), dy, tape, gradients);
  }

  /// Lists the tensors that an adapter of these settings has, with PEFT's shapes: those of the
  /// images' layer without the height.
  [[nodiscard]] std::vector<AdapterTensor<T>> adapter_tensors(const LoRAConfig& config) const {
    std::vector<AdapterTensor<T>> tensors = Base::adapter_tensors(config);
    for (AdapterTensor<T>& tensor : tensors)
      if (tensor.shape.size() == 4) tensor.shape.erase(tensor.shape.begin() + 2);
    return tensors;
  }
};

}  // namespace lora
