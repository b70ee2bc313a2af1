#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/published.hpp"
#include "lora/core/scratch.hpp"
#include "lora/frozen/frozen_passes.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/frozen/row_squares.hpp"
#include "lora/kernels/product.hpp"
#include "lora/layers/merge_record.hpp"

namespace lora {

/// Says that DoraNorms are of the rows of a weight W (out, in), the outputs of a linear layer.
struct RowsOfWeight {
  template <class Frozen>
  [[nodiscard]] static Index count(const Frozen& weight) {
    return weight.out_features();
  }
  template <class T, class Frozen>
  static void squares(const Frozen& weight, double* sums) {
    row_squares<T>(weight, sums);
  }
  // products = A W^T
  template <class T, class Frozen>
  static void multiply(const Frozen& weight, ConstMatrixRef<T> a, MatrixRef<T> products) {
    frozen_passes::forward<T>(weight, a, nullptr, {a.leftCols(0), {}, T(0)}, products);
  }
  template <class T, class Frozen>
  static void copy(const Frozen& weight, Index row, T* to) {
    copy_row_of<T>(weight, row, to);
  }
};

/// Says that DoraNorms are of the columns of a table (entries, features), the outputs of an
/// embedding, and so of W = table^T.
struct ColumnsOfTable {
  template <class Frozen>
  [[nodiscard]] static Index count(const Frozen& table) {
    return table.in_features();
  }
  // The sums of bands of rows, whose number depends on the table alone, are added in order.
  template <class T, class Frozen>
  static void squares(const Frozen& table, double* sums) {
    constexpr Index bands = 32;
    const Index rows = table.out_features(), columns = table.in_features();
    const Index step = (rows + bands - 1) / bands;
    Scratch scratch;
    MatrixRef<double> parts = scratch.matrix<double>(bands, columns);
    parts.setZero();
    const double work = 8 * static_cast<double>(rows) * static_cast<double>(columns);
    parallel_for(bands, threads_for(bands, work), [&](Index band) {
      Scratch inner;
      T* const row = inner.take<T>(columns);
      double* const to = parts.data() + band * parts.outerStride();
      for (Index i = band * step; i < std::min(rows, (band + 1) * step); ++i) {
        copy_row_of<T>(table, i, row);
        for (Index j = 0; j < columns; ++j)
          to[j] += static_cast<double>(row[j]) * static_cast<double>(row[j]);
      }
    });
    for (Index j = 0; j < columns; ++j) sums[j] = parts.col(j).sum();
  }
  template <class T, class Frozen>
  static void multiply(const Frozen& table, ConstMatrixRef<T> a, MatrixRef<T> products) {
    frozen_passes::backward<T>(table, a, {a.leftCols(0), {}, T(0)}, products);
  }
  template <class T, class Frozen>
  static void copy(const Frozen& table, Index column, T* to) {
    Scratch scratch;
    T* const row = scratch.take<T>(table.in_features());
    for (Index i = 0; i < table.out_features(); ++i) {
      copy_row_of<T>(table, i, row);
      to[i] = row[column];
    }
  }
};

/// The norms by which DoRA divides the rows of a layer's weight, without forming B A:
///
///     n_o = ||w_o + s b_o A||,   n_o^2 = ||w_o||^2 + 2 s b_o (A w_o) + s^2 b_o (A A^T) b_o^T
///
/// which costs a product of W with `rank` rows. `Lines` says what W is made of. Where B A all but
/// cancels a row, the row is formed. The sums of squares of W's rows are kept, and so are the norms
/// of the last 16 factors for which `recall` was called, which it knows again by a checksum of all
/// their bits. Neither is kept where others may write W: borrowed memory that an adapter can be
/// merged into is read every time.
///
/// Const members may be called by several threads at once and give the same bits for any number of
/// threads. `compute` allocates nothing from its second call on, nor does `recall` of the same
/// factors.
template <class T, class Lines = RowsOfWeight>
class DoraNorms {
 public:
  DoraNorms() : squares_(std::vector<double>()), last_(std::vector<Known>()) {}

  /// Computes the norms n (out) for a (R, in), its columns in the order of W's, and b (out, R).
  template <class Frozen>
  void compute(const Frozen& weight, ConstMatrixRef<T> a, ConstMatrixRef<T> b, T s, T* n) const;

  /// Does the same, and remembers the norms for the next call with these factors.
  template <class Frozen>
  void recall(const Frozen& weight, ConstMatrixRef<T> a, ConstMatrixRef<T> b, T s, T* n) const;

 private:
  static constexpr std::size_t most = 16;

  struct Known {
    Index rank;
    std::uint64_t a_sum, b_sum;
    T s;
    std::shared_ptr<const std::vector<T>> norms;
  };

  template <class Frozen>
  [[nodiscard]] static bool may_keep(const Frozen& weight) {
    if constexpr (MergeableWeight<Frozen, T>)
      return weight.bytes() > 0;
    else
      return true;
  }

  template <class Frozen>
  static void add_update(const Frozen& weight, const double* squares, const ConstMatrixRef<T>& a,
                         const ConstMatrixRef<T>& b, T s, T* n) {
    const Index out = b.rows(), rank = b.cols();
    Scratch scratch;
    MatrixRef<T> aw = scratch.matrix<T>(rank, out);  // A W^T
    Lines::template multiply<T>(weight, a, aw);
    MatrixRef<T> aa = scratch.matrix<T>(rank, rank);  // A A^T
    aa.setZero();
    add_product(aa, T(1), a, a.transpose());
    MatrixRef<T> baa = scratch.matrix<T>(out, rank);  // B A A^T
    baa.setZero();
    add_product(baa, T(1), b, aa);
    constexpr Index step = 64;
    const Index tasks = (out + step - 1) / step;
    const double work = 8 * static_cast<double>(out) * static_cast<double>(rank);
    const auto scale = static_cast<double>(s);
    parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
      for (Index o = task * step; o < std::min(out, (task + 1) * step); ++o) {
        double once = 0, twice = 0;
        for (Index r = 0; r < rank; ++r) {
          const auto element = static_cast<double>(b(o, r));
          once += element * static_cast<double>(aw(r, o));
          twice += element * static_cast<double>(baa(o, r));
        }
        once *= 2 * scale;
        twice *= scale * scale;
        double square = squares[o] + once + twice;
        // A small difference of large sums has few digits that are true.
        if (square * 16 < squares[o] + std::abs(once) + std::abs(twice))
          square = formed_square(weight, o, a, b, scale);
        n[o] = static_cast<T>(std::sqrt(square));
      }
    });
  }

  // ||w_o + s b_o A||^2 by its definition.
  template <class Frozen>
  [[nodiscard]] static double formed_square(const Frozen& weight, Index o,
                                            const ConstMatrixRef<T>& a, const ConstMatrixRef<T>& b,
                                            double s) {
    const Index in = a.cols();
    Scratch scratch;
    T* const row = scratch.take<T>(in);
    Lines::template copy<T>(weight, o, row);
    double sum = 0;
    for (Index i = 0; i < in; ++i) {
      double update = 0;
      for (Index r = 0; r < a.rows(); ++r)
        update += static_cast<double>(b(o, r)) * static_cast<double>(a(r, i));
      const double element = static_cast<double>(row[i]) + s * update;
      sum += element * element;
    }
    return sum;
  }

  mutable Published<std::vector<double>> squares_;  // of W's rows, empty until they are needed
  mutable Published<std::vector<Known>> last_;      // the newest at the end
};

// Defined outside the class, where they are not inline: a program that links lora::compiled then
// takes them from there and compiles none of what they call.

template <class T, class Lines>
template <class Frozen>
void DoraNorms<T, Lines>::compute(const Frozen& weight, ConstMatrixRef<T> a, ConstMatrixRef<T> b,
                                  T s, T* n) const {
  if (!may_keep(weight)) {
    Scratch scratch;
    auto* const squares = scratch.take<double>(Lines::count(weight));
    Lines::template squares<T>(weight, squares);
    return add_update(weight, squares, a, b, s, n);
  }
  auto known = squares_.get();
  if (static_cast<Index>(known->size()) != Lines::count(weight)) {
    squares_.update([&](std::vector<double>& squares) {
      squares.resize(static_cast<std::size_t>(Lines::count(weight)));
      Lines::template squares<T>(weight, squares.data());
    });
    known = squares_.get();
  }
  add_update(weight, known->data(), a, b, s, n);
}

template <class T, class Lines>
template <class Frozen>
void DoraNorms<T, Lines>::recall(const Frozen& weight, ConstMatrixRef<T> a, ConstMatrixRef<T> b,
                                 T s, T* n) const {
  if (!may_keep(weight)) return compute(weight, a, b, s, n);
  const std::uint64_t a_sum = detail::checksum<T>(a), b_sum = detail::checksum<T>(b);
  const auto out = static_cast<std::size_t>(Lines::count(weight));
  const auto last = last_.get();
  for (const Known& known : *last)
    if (known.rank == a.rows() && known.a_sum == a_sum && known.b_sum == b_sum && known.s == s &&
        known.norms->size() == out) {
      std::copy(known.norms->begin(), known.norms->end(), n);
      return;
    }
  compute(weight, a, b, s, n);
  auto norms = std::make_shared<const std::vector<T>>(n, n + out);
  last_.update([&](std::vector<Known>& next) {
    if (next.size() == most) next.erase(next.begin());
    next.push_back({a.rows(), a_sum, b_sum, s, std::move(norms)});
  });
}

}  // namespace lora
