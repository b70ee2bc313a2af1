#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/shared_until_written.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/frozen/packed_panels.hpp"
#include "lora/kernels/few_rows_product.hpp"
#include "lora/kernels/pack.hpp"
#include "lora/kernels/panel_product.hpp"
#include "lora/kernels/row_product.hpp"
#include "lora/kernels/tile_shape.hpp"
#include "lora/kernels/transposed_rows_product.hpp"

namespace lora {

/// A frozen weight W (out_features, in_features), copied into the order in which the kernels read
/// it, so that no product packs it again: from one token to some dozens, a product costs one
/// reading of W.
///
/// One copy serves both y = x W^T and dx = dy W. It takes out * in scalars, out rounded up to a
/// whole vector; the weight that it was made from is no longer needed. No BLAS knows this order, so
/// its products are the library's own with EIGEN_USE_BLAS too.
template <class T>
class PackedWeight {
 public:
  using Scalar = T;

  /// Packs a copy of `weight` (out, in).
  explicit PackedWeight(ConstMatrixRef<T> weight)
      : out_(weight.rows()), in_(weight.cols()), panels_(Vector<T>(packed_size())) {
    assign(weight);
  }

  [[nodiscard]] Index out_features() const { return out_; }
  [[nodiscard]] Index in_features() const { return in_; }

  /// Adds x W^T to y: x (N, in), y (N, out).
  void add_product(ConstMatrixRef<T> x, MatrixRef<T> y) const {
    if (x.rows() == 0 || out_ == 0 || in_ == 0) return;
    if (x.rows() == 1) return add_row_product(x.data(), y);
    if (!PackedPanels<T>::pays(x.rows()))
      return kernels::add_few_rows_product<T>(
          x, panels_->data(), [](const T* at) __attribute__((always_inline)) {
            return Eigen::internal::ploadu<Packet<T>>(at);
          },
          y);
    kernels::add_panel_product<T>(x, panels(), T(1), y);
  }

  /// Adds dy W to dx: dy (N, out), dx (N, in).
  void add_transposed_product(ConstMatrixRef<T> dy, MatrixRef<T> dx) const {
    if (dy.rows() == 0 || out_ == 0 || in_ == 0) return;
    if (!TransposedPackedPanels<T>::pays(dy.rows()))
      return kernels::add_transposed_rows_product<T>(
          dy, in_, panels_->data(), [](const T* at) __attribute__((always_inline)) {
            return Eigen::internal::ploadu<Packet<T>>(at);
          },
          dx);
    kernels::add_panel_product<T>(dy, transposed_panels(), T(1), dx);
  }

  /// Returns W^T (in, out) as the right side of products.
  [[nodiscard]] PackedPanels<T> panels() const { return {panels_->data(), out_, in_}; }

  /// Returns W (out, in) as the right side of products.
  [[nodiscard]] TransposedPackedPanels<T> transposed_panels() const {
    return {panels_->data(), out_, in_};
  }

  /// Copies row `output` of W to `to`, `in` numbers: an embedding that a head is tied to.
  void copy_row(Index output, T* to) const {
    for (Index i = 0; i < in_; ++i) to[i] = *panels().at(output, i);
  }

  /// Returns a row-major copy of W.
  [[nodiscard]] Matrix<T> dense() const {
    Matrix<T> weight(out_, in_);
    for (Index o = 0; o < out_; ++o)
      for (Index i = 0; i < in_; ++i) weight(o, i) = *panels().at(o, i);
    return weight;
  }

  /// Returns the bytes of the packed W.
  [[nodiscard]] std::size_t bytes() const {
    return static_cast<std::size_t>(panels_->size()) * sizeof(T);
  }

  [[nodiscard]] bool writable() const { return true; }

  /// Adds scale * b a to W, in one reading and one writing of W: b (out, R), a (R, in).
  void add_low_rank(T scale, ConstMatrixRef<T> b, ConstMatrixRef<T> a) {
    // A panel is itself a row-major matrix (in, outputs), to which scale a^T b^T is added.
    const Index rank = b.cols();
    if (rank == 0 || out_ == 0 || in_ == 0) return;
    Scratch scratch;
    const auto left = kernels::pack_left<T>(kernels::MatrixRows<T>::transposed(a),
                                            scratch.take<T>(kernels::packed_left_size(in_, rank)));
    const auto columns = kernels::columns_of(b.data(), b.outerStride(), false);
    T* const memory = panels_.own().data();
    for_each_panel([&](Index column, Index count) {
      const kernels::PanelTasks<T> one(in_, count);
      const Index wide = panels().width_at(column);
      MatrixRef<T> panel(memory + column * in_, in_, count, wide);
      const kernels::Product<T, kernels::MatrixPanels<T>> product{
          left, {columns.from(column, 0)}, scale};
      for (Index task = 0; task < one.count; ++task)
        kernels::panel_task(one, task, panel, {}, product);
    });
  }

  /// Overwrites W with `weight` (out, in).
  void assign(ConstMatrixRef<T> weight) {
    T* const memory = panels_.own().data();
    for_each_panel([&](Index column, Index count) {
      const kernels::Strips<T> strips{weight.data() + column * weight.outerStride(),
                                      weight.outerStride(), 1};
      kernels::pack_panel(strips, count, in_, memory + column * in_);
    });
  }

 private:
  using Panels = PackedPanels<T>;

  [[nodiscard]] Index packed_size() const { return kernels::round_up(out_, Simd<T>::width) * in_; }

  // Calls action(first output, outputs) for every panel, several at a time.
  template <class Action>
  void for_each_panel(const Action& action) {
    constexpr Index width = Panels::columns;
    const Index count = (out_ + width - 1) / width;
    const double work = 16 * static_cast<double>(out_) * static_cast<double>(in_);
    parallel_for(count, threads_for(count, work), [&](Index panel) {
      action(panel * width, std::min(width, out_ - panel * width));
    });
  }

  // y (1, out) += W x: bound by reading W, of which four panels are read side by side.
  void add_row_product(const T* x, MatrixRef<T> y) const {
    constexpr Index group = kernels::row_product_panels * Panels::columns;
    const Index tasks = (out_ + group - 1) / group;
    // An element is read in about the time of so many multiply-adds.
    const double work = 8 * static_cast<double>(out_) * static_cast<double>(in_);
    parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
      const Index column = task * group;
      const Index count = std::min(group, out_ - column);
      if (count < group) return add_row_edge(x, column, y);
      std::array<const T*, kernels::row_product_panels> data;
      for (std::size_t p = 0; p < data.size(); ++p)
        data[p] = panels().at(column + static_cast<Index>(p) * Panels::columns, 0);
      std::array<T, static_cast<std::size_t>(group)> out;
      kernels::row_product<T>(x, in_, data, out.data());
      for (Index j = 0; j < group; ++j) y(0, column + j) += out[static_cast<std::size_t>(j)];
    });
  }

  // The same for the panels from `column` on, which are fewer than four.
  void add_row_edge(const T* x, Index column, MatrixRef<T> y) const {
    std::array<T, static_cast<std::size_t>(Panels::columns)> ones;
    ones.fill(T(1));
    for (; column < out_; column += Panels::columns) {
      T* const at = y.data() + column;
      kernels::tile_of<T>(1, {x, panels().at(column, 0), panels().width_at(column), in_},
                          {at, 0, std::min(Panels::columns, out_ - column), ones.data(), at, 0});
    }
  }

  Index out_;
  Index in_;
  SharedUntilWritten<Vector<T>> panels_;
};

}  // namespace lora
