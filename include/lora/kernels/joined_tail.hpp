#pragma once

#include <algorithm>
#include <array>
#include <cstddef>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/joined_product.hpp"
#include "lora/kernels/panel_product.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/tile_shape.hpp"

namespace lora::kernels {

/// A right side that lies in memory as tiles read it: rows of whole packets, `stride` apart.
template <class T>
struct ReadyPanels {
  const T* data;
  Index stride;

  [[nodiscard]] Panel<T> panel(const PanelRequest& request, T*) const {
    return {data + request.depth_begin * stride + request.column, stride};
  }
};

/// The last columns of a product with a factor of low rank behind them, in one panel:
///
///     [z | xa] = left [W^T | A^T],  y = start + column_scale z + scale xa B^T
///
/// where the columns of W^T leave so much room in their last panel that A^T costs next to nothing
/// there, while a product of its own costs a third of one with 64 columns. The sums are those of
/// the two products, bit for bit.
template <class T>
class JoinedTail {
 public:
  /// The sizes of W^T (depth, columns) and A (rank, depth).
  struct Sizes {
    Index depth;
    Index columns;
    Index rank;
  };

  /// Returns how many of `columns` columns fill whole panels.
  [[nodiscard]] static constexpr Index main_columns(Index columns) {
    return columns / TileShape<T>::columns * TileShape<T>::columns;
  }

  /// Tells whether the last panel has room for A.
  [[nodiscard]] static constexpr bool fits(Index columns, Index rank) {
    const Index tail = columns - main_columns(columns);
    return rank > 0 && tail > 0 && tail + rank <= TileShape<T>::columns;
  }

  /// Prepares the panel in `scratch`; fits(columns, rank). `a` is (rank, depth), `start` and
  /// `column_scale` are rows (columns) or null; of `low_rank` factor and scale are read.
  template <class Right>
  JoinedTail(const Sizes& sizes, const Right& right, const ConstMatrixRef<T>& a, const T* start,
             const T* column_scale, const LowRankPart<T>& low_rank, Scratch& scratch)
      : main_(main_columns(sizes.columns)),
        tail_(sizes.columns - main_),
        rank_(sizes.rank),
        wide_(round_up(tail_ + rank_, Simd<T>::width)),
        padded_(round_up(tail_, Simd<T>::width)),
        scale_(low_rank.scale),
        panel_(scratch.take<T>(sizes.depth * wide_)),
        start_(scratch.take<T>(wide_)),
        column_scale_(scratch.take<T>(wide_)),
        factor_(scratch.take<T>(rank_ * padded_)) {
    std::fill_n(start_, wide_, T(0));
    std::fill_n(column_scale_, wide_, T(1));
    if (start != nullptr) std::copy_n(start + main_, tail_, start_);
    if (column_scale != nullptr) std::copy_n(column_scale + main_, tail_, column_scale_);
    std::fill_n(factor_, rank_ * padded_, T(0));
    const Strips<T>& b = low_rank.factor;
    for (Index r = 0; r < rank_; ++r)
      for (Index j = 0; j < tail_; ++j)
        factor_[r * padded_ + j] = b.data[(main_ + j) * b.across + r * b.along];
    fill_panel(right, a, sizes.depth);
  }

  /// Computes the rows [row, row + packed.rows) of xa (N, rank), and of y's last columns.
  void compute(const PackedLeft<T>& packed, Index row, MatrixRef<T> xa, MatrixRef<T> y) const {
    Scratch scratch;
    const MatrixRef<T> sums = scratch.matrix<T>(packed.rows, wide_);
    panel_product<T>(sums, {false, start_},
                     Product<T, ReadyPanels<T>>{packed, {panel_, wide_}, T(1), column_scale_});
    constexpr Index step = 64;
    const Index tasks = (packed.rows + step - 1) / step;
    const double work = 8 * static_cast<double>(packed.rows) * static_cast<double>(wide_);
    parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
      const Index first = task * step, count = std::min(packed.rows - first, step);
      finish(sums.middleRows(first, count), xa.middleRows(row + first, count),
             y.block(row + first, main_, count, tail_));
    });
  }

 private:
  template <class Right>
  void fill_panel(const Right& right, const ConstMatrixRef<T>& a, Index depth) {
    Scratch scratch;
    T* const buffer = scratch.take<T>(depth_block * TileShape<T>::columns);
    for (Index k = 0; k < depth; k += depth_block) {
      const Index deep = std::min(depth_block, depth - k);
      const Panel<T> piece = right.panel({main_, tail_, k, deep, 1}, buffer);
      for (Index i = 0; i < deep; ++i) {
        T* const to = panel_ + (k + i) * wide_;
        std::copy_n(piece.data + i * piece.stride, tail_, to);
        for (Index r = 0; r < rank_; ++r) to[tail_ + r] = a(r, k + i);
        std::fill(to + tail_ + rank_, to + wide_, T(0));
      }
    }
  }

  // Rows of sums, which lie in the panel's columns, to xa and to y's last columns.
  void finish(ConstMatrixRef<T> sums, MatrixRef<T> xa, MatrixRef<T> y) const {
    constexpr Index width = Simd<T>::width;
    Scratch scratch;
    MatrixRef<T> scaled = scratch.matrix<T>(sums.rows(), rank_);
    for (Index i = 0; i < sums.rows(); ++i)
      for (Index r = 0; r < rank_; ++r) {
        xa(i, r) = sums(i, tail_ + r);
        scaled(i, r) = scale_ * xa(i, r);
      }
    for (Index j = 0; j < tail_; j += width) finish_packets(sums, scaled, j, y);
  }

  // The columns from `j` on that a packet has, eight of B's rows in registers at a time.
  void finish_packets(const ConstMatrixRef<T>& sums, const MatrixRef<T>& scaled, Index j,
                      MatrixRef<T>& y) const {
    namespace ei = Eigen::internal;
    constexpr Index width = Simd<T>::width, some = 8;
    const bool whole = j + width <= tail_;
    std::array<T, static_cast<std::size_t>(width)> last;
    for (Index r = 0; r < rank_; r += some) {
      const Index count = std::min(some, rank_ - r);
      Packet<T> b[some];
      for (Index i = 0; i < count; ++i)
        b[i] = ei::ploadu<Packet<T>>(factor_ + (r + i) * padded_ + j);
      for (Index row = 0; row < sums.rows(); ++row) {
        T* const to = y.data() + row * y.outerStride() + j;
        // From the second time on from y, or from where its last columns wait.
        const T* from = sums.data() + row * sums.outerStride() + j;
        if (r > 0 && whole) from = to;
        if (r > 0 && !whole) {
          std::copy_n(to, tail_ - j, last.data());
          from = last.data();
        }
        auto sum = ei::ploadu<Packet<T>>(from);
        const T* const by = scaled.data() + row * scaled.outerStride() + r;
        if (count == some)
          unroll<some>([&](Index i) __attribute__((always_inline)) {
            sum = ei::pmadd(ei::pset1<Packet<T>>(by[i]), b[i], sum);
          });
        else
          for (Index i = 0; i < count; ++i) sum = ei::pmadd(ei::pset1<Packet<T>>(by[i]), b[i], sum);
        if (whole) {
          ei::pstoreu(to, sum);
        } else {
          ei::pstoreu(last.data(), sum);
          std::copy_n(last.data(), tail_ - j, to);
        }
      }
    }
  }

  Index main_, tail_, rank_, wide_, padded_;
  T scale_;
  T* panel_;
  T* start_;
  T* column_scale_;
  T* factor_;
};

}  // namespace lora::kernels
