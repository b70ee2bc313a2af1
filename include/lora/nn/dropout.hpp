#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>

#include "lora/core/elementwise.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/number_checks.hpp"
#include "lora/core/output.hpp"
#include "lora/core/place.hpp"
#include "lora/core/tape.hpp"
#include "lora/random/dropout_mask.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// A layer that in training sets each element to zero with probability p and scales the others by
/// 1 / (1 - p): y = x * mask (Srivastava et al., "Dropout", 2014; torch.nn.Dropout).
///
/// The mask is a function of (seed, substream, tape's step, element): it is drawn again in
/// backward, never stored, and a forward that runs again from the same random state of a tape draws
/// the same one. Calls may come from several threads at once, each with a tape of its own.
template <class T>
class Dropout {
 public:
  using Scalar = T;

  /// Layers of one seed need a substream each: otherwise they draw the same masks, whatever their
  /// names. Throws ConfigError unless 0 <= p < 1.
  explicit Dropout(double p, std::uint64_t seed = 0, std::uint64_t substream = 0)
      : p_(p), random_(seed, RandomStream::dropout, substream) {
    require_below_one(p, "Dropout", "p");
  }

  /// Copies x to y, both (N, D): there is no dropout outside training. y may be x itself, but no
  /// other part of its memory. Throws ShapeError.
  void forward(ConstMatrixRef<T> x, Output<T> y) const {
    copy(x, y.shaped_elementwise(x.rows(), x.cols(), place("Dropout::forward"), "y", {x}));
  }

  /// Computes y = x * mask for x and y (N, D). y may be x itself, but no other part of its memory.
  /// Throws ShapeError.
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, Output<T> y) const {
    MatrixRef<T> out =
        y.shaped_elementwise(x.rows(), x.cols(), place("Dropout::forward"), "y", {x});
    const std::string_view name = name_.empty() ? std::string_view("a Dropout") : name_;
    apply(x, tape.push(this, name, x.rows(), x.cols()).mask_step(), out);
  }

  /// Computes dx = dy * mask for dx and dy (N, D). dx may be dy itself, but no other part of its
  /// memory. Throws ShapeError and StateError, before anything changes.
  void backward(ConstMatrixRef<T> dy, Tape<T>& tape, Output<T> dx) const {
    const Place where = place("Dropout::backward");
    auto& frame = tape.top(this, dy.rows(), where);
    require_shape(dy, frame.rows(), frame.cols(), where, "dy");
    apply(dy, frame.mask_step(), dx.shaped_elementwise(dy.rows(), dy.cols(), where, "dx", {dy}));
    tape.pop();
  }

  [[nodiscard]] double p() const { return p_; }
  [[nodiscard]] const std::string& name() const { return name_; }

  /// Names the layer in messages; it has nothing that files would know by a name.
  void set_name(const std::string& name) { name_ = name; }

 private:
  [[nodiscard]] Place place(const char* call) const { return {call, name_}; }

  static void copy(ConstMatrixRef<T> x, MatrixRef<T> y) {
    if (x.data() == y.data()) return;
    for_each_row(x.rows(), x.cols(), 16, [&](Index row) { y.row(row) = x.row(row); });
  }

  void apply(ConstMatrixRef<T> x, std::uint64_t step, MatrixRef<T> y) const {
    if (p_ == 0) {
      copy(x, y);
      return;
    }
    const Index n = x.rows(), d = x.cols();
    const DropoutMask mask(random_, step, p_, d);
    for_each_row(n, d, 64, [&](Index row) {
      constexpr Index width = 8 * DropoutMask::group;
      std::array<T, static_cast<std::size_t>(width)> factors;
      for (Index col = 0; col < d; col += width) {
        const Index count = std::min(width, d - col);
        mask.fill(row, col, count, factors.data());
        packets::transform(
            count, y.data() + row * y.outerStride() + col,
            [](const Packet<T>& v, const Packet<T>& factor) {
              return Eigen::internal::pmul(v, factor);
            },
            x.data() + row * x.outerStride() + col, factors.data());
      }
    });
  }

  double p_;
  Random random_;
  std::string name_;
};

}  // namespace lora
