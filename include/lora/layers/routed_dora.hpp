#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>

#include "lora/core/elementwise.hpp"
#include "lora/core/gradients.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/frozen/frozen_passes.hpp"
#include "lora/kernels/grouped_low_rank.hpp"
#include "lora/layers/dora.hpp"
#include "lora/layers/routed_paths.hpp"

namespace lora {

/// What DoRA makes of a layer in a mixed batch, in which some groups of rows have adapters with it:
/// see layers/dora.hpp for the formulas, which hold for each group's rows by themselves.
///
///     z = x' W^T + s xa B^T for all rows,  y = b + g z + (x - x') W^T  of a group with DoRA,
///     y = b + z                                                       of other rows
///
/// x' is drop(x) in the rows of a group with DoRA and dropout, else x: W is multiplied once for all
/// rows, and a second time for those alone. The gains of the groups with DoRA, two rows each as in
/// dora::Gains, stand one after the other. Working memory of one call; `paths`, for which
/// make_paths was called, and `gains` (2 count, out) outlive it. The same bits for any number of
/// threads; a second call of the same shapes allocates nothing.
template <class T, class Adapter = LoRAAdapter<T>>
class RoutedDora {
 public:
  /// Tells whether any row is routed to an adapter with DoRA.
  [[nodiscard]] static bool is_used(const RoutedPaths<T, Adapter>& paths) {
    bool used = false;
    paths.for_each([&](const auto& entry) { used = used || dora::is_used_by(&entry); });
    return used;
  }

  /// Returns the gains of the groups with DoRA (2 count, features), memory of `scratch`:
  /// write(entry, rows) computes those of one, rows being (2, features). Throws what `write`
  /// throws.
  template <class Write>
  [[nodiscard]] static MatrixRef<T> make_gains(const RoutedPaths<T, Adapter>& paths, Index features,
                                               Scratch& scratch, const Write& write) {
    Index count = 0;
    paths.for_each([&](const auto& entry) { count += dora::is_used_by(&entry) ? 1 : 0; });
    MatrixRef<T> gains = scratch.matrix<T>(2 * count, features);
    Index at = 0;
    paths.for_each([&](const auto& entry) {
      if (!dora::is_used_by(&entry)) return;
      write(entry, MatrixRef<T>(gains.middleRows(at, 2)));
      at += 2;
    });
    return gains;
  }

  /// Copies gains to the tape, behind them makes room for a z (n, features), and returns that; `y`
  /// where there are no gains.
  template <class Frame>
  [[nodiscard]] static MatrixRef<T> keep_gains(ConstMatrixRef<T> gains, Index n, MatrixRef<T> y,
                                               Frame& frame) {
    if (gains.rows() == 0) return y;
    MatrixRef<T> kept = frame.keep(gains.rows(), gains.cols());
    kept = gains;
    return frame.keep(n, gains.cols());
  }

  /// Takes the gains as they were computed, and finds the gradients of the magnitudes in `target`,
  /// if there is one. Throws what GradientTarget::of throws.
  RoutedDora(const RoutedPaths<T, Adapter>& paths, MatrixRef<T> gains,
             const GradientTarget<T>* target = nullptr)
      : groups_(&paths.groups()), paths_(paths.paths()) {
    const auto size = static_cast<Index>(paths_.size());
    parts_ = scratch_.template take<Part>(size);
    masked_ = scratch_.template take<Masked>(groups_->places());
    for (const RowGroups::Run& group : groups_->groups()) {
      const auto* const entry = paths.entry(static_cast<std::size_t>(group.group));
      if (!dora::is_used_by(entry)) continue;
      std::construct_at(parts_ + count_,
                        Part{group, gains.data() + 2 * count_ * gains.outerStride(),
                             gains.data() + (2 * count_ + 1) * gains.outerStride(),
                             target == nullptr ? MatrixRef<T>(nullptr, 0, 0, 0)
                                               : target->of(entry->adapter->magnitude())});
      ++count_;
      const auto& mask = paths_[static_cast<std::size_t>(group.group)].mask;
      for (Index i = 0; mask && i < group.count; ++i)
        masked_[masked_count_++] = {groups_->row(group.first + i), i, &*mask};
    }
  }
  RoutedDora(const RoutedDora&) = delete;
  RoutedDora& operator=(const RoutedDora&) = delete;

  /// Computes z and y (N, out) for x (N, in) and the paths' xa. bias is (out) or null. z may be y
  /// where no group with DoRA has dropout.
  template <class Frozen>
  void forward(const Frozen& weight, ConstMatrixRef<T> x, const T* bias, ConstMatrixRef<T> xa,
               MatrixRef<T> z, MatrixRef<T> y) const {
    const frozen_passes::LowRankPart<T> nothing{x.leftCols(0), {}, T(0)};
    Scratch scratch;
    const MatrixRef<T> rest = scratch.matrix<T>(masked_count_, y.cols());  // (x - x') W^T
    if (masked_count_ == 0) {
      frozen_passes::forward<T>(weight, x, nullptr, nothing, z);
    } else {
      MatrixRef<T> dropped = scratch.matrix<T>(x.rows(), x.cols());
      MatrixRef<T> others = scratch.matrix<T>(masked_count_, x.cols());
      dropped = x;
      for_each_masked(x.cols(), [&](const Masked& each, Index i) {
        each.mask->fill(each.number, 0, x.cols(), others.data() + i * others.outerStride());
        dropped.row(each.row).array() *= others.row(i).array();
        others.row(i) = x.row(each.row) - dropped.row(each.row);
      });
      frozen_passes::forward<T>(weight, dropped, nullptr, nothing, z);
      frozen_passes::forward<T>(weight, others, nullptr, nothing, rest);
    }
    grouped_low_rank::add_to_y<T>(*groups_, paths_, xa, z);
    scale_outputs(z, bias, y);
    for_each_masked(y.cols(), [&](const Masked& each, Index i) { y.row(each.row) += rest.row(i); });
  }

  /// Computes y = b + g z (N, out), b + z in rows without DoRA. z may be y; bias is (out) or null.
  void scale_outputs(ConstMatrixRef<T> z, const T* bias, MatrixRef<T> y) const {
    Scratch scratch;
    const T** const gains = scratch.take<const T*>(y.rows());
    find_gains(y.rows(), gains);
    for_each_row(y.rows(), y.cols(), 4, [&](Index i) {
      if (gains[i] != nullptr)
        y.row(i) = z.row(i).cwiseProduct(row_at(gains[i], y.cols()));
      else if (y.data() != z.data())
        y.row(i) = z.row(i);
      if (bias != nullptr) y.row(i) += row_at(bias, y.cols());
    });
  }

  /// Adds the gradients of the magnitudes for dy (N, out) and the forward's z, and returns the
  /// gradient of z (N, out), memory of `scratch`, which other gradients take in the place of dy.
  [[nodiscard]] MatrixRef<T> backward(ConstMatrixRef<T> dy, ConstMatrixRef<T> z,
                                      Scratch& scratch) const {
    add_magnitude_gradients(dy, z);
    const MatrixRef<T> dz = scratch.matrix<T>(dy.rows(), dy.cols());
    const T** const gains = scratch.take<const T*>(dy.rows());
    find_gains(dy.rows(), gains);
    for_each_row(dy.rows(), dy.cols(), 4, [&](Index i) {
      MatrixRef<T> to = dz;
      if (gains[i] != nullptr)
        to.row(i) = dy.row(i).cwiseProduct(row_at(gains[i], dy.cols()));
      else
        to.row(i) = dy.row(i);
    });
    return dz;
  }

  /// Computes dx (N, in), or adds to it, from dy, what backward returned, and g = dz B of the
  /// paths: dz W + mask * (s g A), with DoRA and dropout mask * (dz W + s g A) + (1 - mask) * (dy
  /// W).
  template <class Frozen>
  void gradient_of_x(const Frozen& weight, ConstMatrixRef<T> dy, ConstMatrixRef<T> dz,
                     ConstMatrixRef<T> g, MatrixRef<T> dx, bool add = false) const {
    const frozen_passes::LowRankPart<T> nothing{dy.leftCols(0), {}, T(0)};
    Scratch scratch;
    if (masked_count_ == 0) {
      frozen_passes::backward<T>(weight, dz, nothing, dx, add);
    } else {
      MatrixRef<T> own = add ? scratch.matrix<T>(dx.rows(), dx.cols()) : dx;
      MatrixRef<T> some = scratch.matrix<T>(masked_count_, dy.cols());
      const MatrixRef<T> past = scratch.matrix<T>(masked_count_, dx.cols());  // the mask: dy W
      for_each_masked(dy.cols(),
                      [&](const Masked& each, Index i) { some.row(i) = dy.row(each.row); });
      frozen_passes::backward<T>(weight, some, nothing, past);
      frozen_passes::backward<T>(weight, dz, nothing, own);
      for_each_masked(dx.cols(), [&](const Masked& each, Index i) {
        Scratch inner;
        T* const mask = inner.take<T>(dx.cols());
        each.mask->fill(each.number, 0, dx.cols(), mask);
        T* const to = own.data() + each.row * own.outerStride();
        const T* const from = past.data() + i * past.outerStride();
        for (Index j = 0; j < dx.cols(); ++j) to[j] = from[j] + mask[j] * (to[j] - from[j]);
      });
      if (add) add_to<T>(own, dx);
    }
    grouped_low_rank::add_to_dx<T>(*groups_, paths_, g, dx);
  }

 private:
  // A group with DoRA.
  struct Part {
    RowGroups::Run rows;
    const T* gain;          // (out)
    const T* inverse_norm;  // (out)
    MatrixRef<T> dm;        // (1, out)
  };

  // A row of a group with DoRA and dropout, and its number in the group.
  struct Masked {
    Index row;
    Index number;
    const DropoutMask* mask;
  };

  [[nodiscard]] static Eigen::Map<const Eigen::Matrix<T, 1, Eigen::Dynamic>> row_at(const T* from,
                                                                                    Index size) {
    return {from, size};
  }

  template <class Use>
  void for_each_masked(Index columns, const Use& use) const {
    for_each_row(masked_count_, columns, 16, [&](Index i) { use(masked_[i], i); });
  }

  // The gains of each row of a batch, null where it has none.
  void find_gains(Index rows, const T** gains) const {
    std::fill_n(gains, rows, nullptr);
    for (Index p = 0; p < count_; ++p)
      for (Index i = 0; i < parts_[p].rows.count; ++i)
        gains[groups_->row(parts_[p].rows.first + i)] = parts_[p].gain;
  }

  // dm += sum over the group's rows of dy z / n.
  void add_magnitude_gradients(ConstMatrixRef<T> dy, ConstMatrixRef<T> z) const {
    constexpr Index step = 64;
    const Index out = dy.cols(), tiles = (out + step - 1) / step, tasks = count_ * tiles;
    const double work = 4 * static_cast<double>(dy.rows()) * static_cast<double>(out);
    parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
      const Part& part = parts_[task / tiles];
      const Index first = task % tiles * step, columns = std::min(step, out - first);
      T sums[step] = {};
      for (Index i = 0; i < part.rows.count; ++i) {
        const Index row = groups_->row(part.rows.first + i);
        const T* const up = dy.data() + row * dy.outerStride() + first;
        const T* const from = z.data() + row * z.outerStride() + first;
        for (Index j = 0; j < columns; ++j) sums[j] += up[j] * from[j];
      }
      T* const dm = MatrixRef<T>(part.dm).data() + first;
      for (Index j = 0; j < columns; ++j) dm[j] += sums[j] * part.inverse_norm[first + j];
    });
  }

  Scratch scratch_;
  const RowGroups* groups_;
  grouped_low_rank::Paths<T> paths_;
  Part* parts_ = nullptr;
  Index count_ = 0;
  Masked* masked_ = nullptr;
  Index masked_count_ = 0;
};

}  // namespace lora
