#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>

#include "lora/core/elementwise.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/tape.hpp"
#include "lora/frozen/frozen_passes.hpp"
#include "lora/random/dropout_mask.hpp"

/// What DoRA (Liu et al., "DoRA: Weight-Decomposed Low-Rank Adaptation", 2024, arXiv 2402.09353;
/// PEFT 0.21's use_dora) makes of a LoRA layer: row o of W + s B A gets a length m_o of its own.
///
///     z = x (W + s B A)^T,  y = b + g z,  g = m / n,  n_o = ||w_o + s b_o A||
///
/// n is a constant in backward, as the paper's section 4.3 proposes and PEFT does. With dropout,
/// which here acts on all that the adapter changes (PEFT's formula):
///
///     z = drop(x) (W + s B A)^T,  y = b + (x - drop(x)) W^T + g z
namespace lora::dora {

/// g and 1 / n of each output, as the rows of a matrix (2, out); (0, 0) without DoRA.
template <class T>
struct Gains {
  MatrixRef<T> rows{nullptr, 0, 0, 0};

  /// Copies the gains to the tape, behind them makes room for a z (n, out), and returns that.
  [[nodiscard]] MatrixRef<T> keep(Index n, typename Tape<T>::Frame& frame) {
    frame.keep(2, rows.cols()) = rows;
    return frame.keep(n, rows.cols());
  }

  [[nodiscard]] bool exist() const { return rows.rows() > 0; }
  [[nodiscard]] const T* gain() const { return rows.data(); }
  [[nodiscard]] const T* inverse_norm() const { return rows.data() + rows.outerStride(); }
};

/// Tells whether there is an adapter, and it has DoRA.
template <class Entry>
[[nodiscard]] bool is_used_by(const Entry* entry) {
  return entry != nullptr && entry->adapter->config().use_dora;
}

/// Turns the norms n (out) in the second row of `rows` (2, out) into Gains with the magnitudes m
/// (out). Throws StateError, naming `where`, for an output of norm 0 whose magnitude is not,
/// because it has no direction. Where both are 0, as in a new adapter over a row of zeros, g is 0.
template <class T, class Where>
void to_gains(const T* m, MatrixRef<T> rows, const Where& where) {
  for (Index o = 0; o < rows.cols(); ++o) {
    const T norm = rows(1, o);
    if (norm == T(0) && m[o] != T(0))
      throw StateError(message(where, ": row ", o,
                               " of W + s B A is zero, so that DoRA has no "
                               "direction for its magnitude ",
                               m[o]));
    rows(1, o) = norm == T(0) ? T(0) : T(1) / norm;
    rows(0, o) = norm == T(0) ? T(0) : m[o] / norm;
  }
}

/// Computes y = bias + g z (N, out). z (N, out) may be y; bias is (out) or null.
template <class T>
void scale_outputs(ConstMatrixRef<T> z, const T* gain, const T* bias, MatrixRef<T> y) {
  const Packet<T> zero = Eigen::internal::pset1<Packet<T>>(T(0));
  for_each_row(y.rows(), y.cols(), 4, [&](Index i) {
    T* const to = y.data() + i * y.outerStride();
    const T* const from = z.data() + i * z.outerStride();
    if (bias == nullptr)
      packets::transform(
          y.cols(), to,
          [&](const Packet<T>& a, const Packet<T>& g) {
            return Eigen::internal::pmadd(a, g, zero);
          },
          from, gain);
    else
      packets::transform(
          y.cols(), to,
          [](const Packet<T>& a, const Packet<T>& g, const Packet<T>& b) {
            return Eigen::internal::pmadd(a, g, b);
          },
          from, gain, bias);
  });
}

/// Adds g z to y, both (N, out).
template <class T>
void add_scaled(ConstMatrixRef<T> z, const T* gain, MatrixRef<T> y) {
  for_each_row(y.rows(), y.cols(), 4, [&](Index i) {
    T* const to = y.data() + i * y.outerStride();
    packets::transform(
        y.cols(), to,
        [](const Packet<T>& a, const Packet<T>& g, const Packet<T>& sum) {
          return Eigen::internal::pmadd(a, g, sum);
        },
        z.data() + i * z.outerStride(), gain, static_cast<const T*>(to));
  });
}

/// Writes drop(x) to `dropped` (N, in).
template <class T>
void drop(ConstMatrixRef<T> x, const DropoutMask& mask, MatrixRef<T> dropped) {
  for_each_row(x.rows(), x.cols(), 16, [&](Index i) {
    mask.fill(i, 0, x.cols(), dropped.data() + i * dropped.outerStride());
    dropped.row(i).array() *= x.row(i).array();
  });
}

/// Computes z and y (N, out) of a layer with the frozen `weight`. `low_rank` is s drop(x) A^T B^T.
/// z may be y where there is no mask.
template <class T, class Frozen>
void forward(const Frozen& weight, ConstMatrixRef<T> x, const T* bias,
             const kernels::LowRankPart<T>& low_rank, const std::optional<DropoutMask>& mask,
             const Gains<T>& gains, MatrixRef<T> z, MatrixRef<T> y) {
  if (!mask) {
    frozen_passes::forward<T>(weight, x, nullptr, low_rank, z);
    return scale_outputs<T>(z, gains.gain(), bias, y);
  }
  Scratch scratch;
  MatrixRef<T> part = scratch.matrix<T>(x.rows(), x.cols());
  drop<T>(x, *mask, part);
  frozen_passes::forward<T>(weight, part, nullptr, low_rank, z);
  part = x - part;
  frozen_passes::forward<T>(weight, part, bias, {x.leftCols(0), {}, T(0)}, y);
  add_scaled<T>(z, gains.gain(), y);
}

/// Adds to dm (1, out) the gradient of the magnitudes, sum over rows of dy z / n.
template <class T>
void add_magnitude_gradient(ConstMatrixRef<T> dy, ConstMatrixRef<T> z, const T* inverse_norm,
                            MatrixRef<T> dm) {
  constexpr Index step = 64;
  const Index out = dy.cols(), tasks = (out + step - 1) / step;
  const double work = 4 * static_cast<double>(dy.rows()) * static_cast<double>(out);
  parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
    const Index first = task * step, count = std::min(step, out - first);
    T sums[step] = {};
    for (Index i = 0; i < dy.rows(); ++i) {
      const T* const up = dy.data() + i * dy.outerStride() + first;
      const T* const from = z.data() + i * z.outerStride() + first;
      for (Index j = 0; j < count; ++j) sums[j] += up[j] * from[j];
    }
    for (Index j = 0; j < count; ++j) dm.data()[first + j] += sums[j] * inverse_norm[first + j];
  });
}

/// Adds the gradient of the magnitudes to dm (1, out) and returns that of z, g dy (N, out), in
/// memory of `scratch`: LoRA's backward takes it in the place of dy. z (N, out) is the forward's.
template <class T>
[[nodiscard]] ConstMatrixRef<T> backward(ConstMatrixRef<T> dy, const Gains<T>& gains,
                                         ConstMatrixRef<T> z, MatrixRef<T> dm, Scratch& scratch) {
  add_magnitude_gradient<T>(dy, z, gains.inverse_norm(), dm);
  const MatrixRef<T> dz = scratch.matrix<T>(dy.rows(), dy.cols());
  scale_outputs<T>(dy, gains.gain(), nullptr, dz);
  return dz;
}

/// Does the same with what Gains::keep left on the tape: the gains are kept(first), and z is
/// kept(first + 1). A `first` of 0 says that there is no DoRA, and the result is dy.
template <class T>
[[nodiscard]] ConstMatrixRef<T> backward(ConstMatrixRef<T> dy, typename Tape<T>::Frame& frame,
                                         std::size_t first, MatrixRef<T> dm, Scratch& scratch) {
  if (first == 0) return dy;
  return backward<T>(dy, Gains<T>{frame.kept(first)}, frame.kept(first + 1), dm, scratch);
}

/// Computes dx += mask * (part - dx), both (N, in).
template <class T>
void mix(const DropoutMask& mask, ConstMatrixRef<T> part, MatrixRef<T> dx) {
  for_each_row(dx.rows(), dx.cols(), 16, [&](Index i) {
    Scratch scratch;
    T* const kept = scratch.take<T>(dx.cols());
    T* const to = dx.data() + i * dx.outerStride();
    mask.fill(i, 0, dx.cols(), kept);
    packets::transform(
        dx.cols(), to,
        [](const Packet<T>& m, const Packet<T>& a, const Packet<T>& sum) {
          return Eigen::internal::pmadd(m, Eigen::internal::psub(a, sum), sum);
        },
        kept, part.data() + i * part.outerStride(), static_cast<const T*>(to));
  });
}

/// Computes the gradient of x with dropout, dx = (1 - mask) * (dy W) + mask * (dz W + s (dz B) A),
/// or adds it to dx. `low_rank` is s (dz B) A.
template <class T, class Frozen>
void masked_backward(const Frozen& weight, ConstMatrixRef<T> dy, ConstMatrixRef<T> dz,
                     const kernels::LowRankPart<T>& low_rank, const DropoutMask& mask,
                     MatrixRef<T> dx, bool add = false) {
  Scratch scratch;
  const MatrixRef<T> part = scratch.matrix<T>(dx.rows(), dx.cols());
  const MatrixRef<T> own = add ? scratch.matrix<T>(dx.rows(), dx.cols()) : dx;
  frozen_passes::backward<T>(weight, dz, low_rank, part);
  frozen_passes::backward<T>(weight, dy, {dy.leftCols(0), {}, T(0)}, own);
  mix<T>(mask, part, own);
  if (add) add_to<T>(own, dx);
}

}  // namespace lora::dora
