#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "lora/core/elementwise.hpp"
#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/tape.hpp"
#include "lora/random/dropout_mask.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// Sets each element to zero with probability p in training and scales the others by 1 / (1 - p):
/// y = x * mask (Srivastava et al., "Dropout", 2014; torch.nn.Dropout).
///
/// The mask is a function of (seed, substream, tape's step, element): it is drawn again in
/// backward, never stored, and a forward that runs again from the same random state of a tape draws
/// the same one.
template <class T>
class Dropout {
 public:
  using Scalar = T;

  /// Throws ConfigError unless 0 <= p < 1.
  explicit Dropout(double p, std::uint64_t seed = 0, std::uint64_t substream = 0)
      : p_(p), random_(seed, RandomStream::dropout, substream) {
    // Written so that NaN is refused too.
    if (!(is_finite(p) && p >= 0 && p < 1))
      throw ConfigError(message("Dropout: p is ", p, ", expected 0 <= p < 1"));
  }

  /// Copies x (N, D) to y, which is resized: there is no dropout outside training.
  void forward(ConstMatrixRef<T> x, Matrix<T>& y) const { copy(x, y); }

  /// Computes y = x * mask for x (N, D); y is resized and may be x itself.
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, Matrix<T>& y) const {
    auto& frame = tape.push(this, "Dropout", x.rows());
    static_cast<void>(frame.keep(0, x.cols()));  // no numbers, but the width
    apply(x, frame.mask_step(), y);
  }

  /// Computes dx = dy * mask for dy (N, D); dx is resized and may be dy itself. Throws ShapeError
  /// and StateError.
  void backward(ConstMatrixRef<T> dy, Tape<T>& tape, Matrix<T>& dx) const {
    auto& frame = tape.top(this, dy.rows(), "Dropout::backward");
    require_shape(dy, frame.rows(), frame.kept().cols(), "Dropout::backward", "dy");
    apply(dy, frame.mask_step(), dx);
    tape.pop();
  }

  [[nodiscard]] double p() const { return p_; }

 private:
  static void copy(ConstMatrixRef<T> x, Matrix<T>& y) {
    if (x.data() == y.data() && x.rows() == y.rows() && x.cols() == y.cols()) return;
    y.resize(x.rows(), x.cols());
    for_each_row(x.rows(), x.cols(), 16, [&](Index row) { y.row(row) = x.row(row); });
  }

  void apply(ConstMatrixRef<T> x, std::uint64_t step, Matrix<T>& y) const {
    if (p_ == 0) {
      copy(x, y);
      return;
    }
    const Index n = x.rows(), d = x.cols();
    const DropoutMask mask(random_, step, p_, d);
    y.resize(n, d);
    for_each_row(n, d, 64, [&](Index row) {
      constexpr Index width = 8 * DropoutMask::group;
      std::array<T, static_cast<std::size_t>(width)> factors;
      for (Index col = 0; col < d; col += width) {
        const Index count = std::min(width, d - col);
        mask.fill(row, col, count, factors.data());
        packets::transform(
            count, y.data() + row * d + col,
            [](const Packet<T>& v, const Packet<T>& factor) {
              return Eigen::internal::pmul(v, factor);
            },
            x.data() + row * x.outerStride() + col, factors.data());
      }
    });
  }

  double p_;
  Random random_;
};

}  // namespace lora
