#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <type_traits>
#include <utility>

#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/frozen/coded_panels.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/kernels/coded_groups.hpp"
#include "lora/kernels/panel_product.hpp"

namespace lora {

/// What the storages of a frozen weight W (out_features, in_features) in codes have in common:
/// products of T with the numbers that the codes stand for, which are decoded as they are needed
/// and never lie in memory as a whole. `Codes` keeps them:
///
///     rows(), columns(), bytes()
///     visit(f)    calls f with CodedRows and returns what f does
///
/// Adapters are not merged into codes: rounding W + s B A to the nearest code loses much of a small
/// update (of one of 1 % of W, NF4 keeps 1.5 % and Int8Weight 87 %; of one of 0.1 %, Int8Weight
/// keeps 0.1 %). LoRALinear::merged_weight gives that matrix.
template <class T, class Codes>
class CodedWeight {
 public:
  using Scalar = T;

  [[nodiscard]] Index out_features() const { return codes_->rows(); }
  [[nodiscard]] Index in_features() const { return codes_->columns(); }

  /// Adds x W^T to y: x (N, in), y (N, out).
  void add_product(ConstMatrixRef<T> x, MatrixRef<T> y) const {
    if (x.rows() == 0 || out_features() == 0 || in_features() == 0) return;
    if constexpr (std::is_same_v<T, float>)
      if (!CodedPanels<T, Codes>::pays(x.rows())) return add_few(x, y);
    kernels::add_panel_product<T>(x, panels(), T(1), y);
  }

  /// Adds dy W to dx: dy (N, out), dx (N, in).
  void add_transposed_product(ConstMatrixRef<T> dy, MatrixRef<T> dx) const {
    if (dy.rows() == 0 || out_features() == 0 || in_features() == 0) return;
    if constexpr (std::is_same_v<T, float>)
      if (!CodedPanels<T, Codes>::pays(dy.rows())) return add_few_transposed(dy, dx);
    kernels::add_panel_product<T>(dy, transposed_panels(), T(1), dx);
  }

  /// Returns W^T (in, out) as the right side of products.
  [[nodiscard]] CodedPanels<T, Codes> panels() const { return {codes_.get()}; }

  /// Returns W (out, in) as the right side of products.
  [[nodiscard]] TransposedCodedPanels<T, Codes> transposed_panels() const { return {codes_.get()}; }

  /// Copies row `output` of W to `to`, `in` numbers: an embedding that a head is tied to.
  void copy_row(Index output, T* to) const {
    const Index runs = kernels::runs_of(in_features());
    Scratch scratch;
    T* const row = scratch.take<T>(runs * kernels::run_length);
    codes_->visit([&](const auto& rows) { kernels::decode_runs(rows, output, 0, runs, row); });
    std::copy_n(row, in_features(), to);
  }

  /// Returns W as the codes have it, row-major: each number to the last bit of its format.
  [[nodiscard]] Matrix<T> dense() const {
    Matrix<T> weight(out_features(), in_features());
    for (Index o = 0; o < weight.rows(); ++o) copy_row(o, weight.data() + o * weight.cols());
    return weight;
  }

  /// Returns the bytes of codes and scales that this object owns.
  [[nodiscard]] std::size_t bytes() const { return codes_->bytes(); }

  /// Returns the codes.
  [[nodiscard]] const Codes& codes() const { return *codes_; }

 protected:
  explicit CodedWeight(Codes codes) : codes_(std::make_shared<const Codes>(std::move(codes))) {}
  ~CodedWeight() = default;
  CodedWeight(const CodedWeight&) = default;
  CodedWeight(CodedWeight&&) noexcept = default;
  CodedWeight& operator=(const CodedWeight&) = default;
  CodedWeight& operator=(CodedWeight&&) noexcept = default;

 private:
  static constexpr Index band = kernels::coded_row_band;

  // Calls body(first row, count) for bands of rows, `count` being 1 or `band`, a constant.
  template <class Body>
  static void each_band(Index rows, const Body& body) {
    for (Index i = 0; i < rows; i += band) {
      if (rows - i == 1)
        body(i, std::integral_constant<Index, 1>());
      else
        body(i, std::integral_constant<Index, band>());
    }
  }

  // Copies `rows` to `scratch`, each filled up with zeros to `width`, and rows of zeros that make
  // whole bands of them.
  static const float* in_bands(const ConstMatrixRef<float>& rows, Index width, Scratch& scratch) {
    const Index n = rows.rows(), count = n == 1 ? 1 : kernels::round_up(n, band);
    auto* const filled = scratch.take<float>(count * width);
    for (Index i = 0; i < count; ++i) {
      float* const row = filled + i * width;
      const Index length = i < n ? rows.cols() : 0;
      if (length > 0) std::copy_n(rows.data() + i * rows.outerStride(), length, row);
      std::fill(row + length, row + width, 0.0F);
    }
    return filled;
  }

  // How much work so many rows are; see threads_for.
  [[nodiscard]] double work(Index rows) const {
    return 4 * static_cast<double>(out_features()) * static_cast<double>(in_features()) *
           static_cast<double>(rows);
  }

  // One row where codes can be read in groups.
  template <kernels::CodedGroups Rows>
  void add_one(Rows rows, const float* x, MatrixRef<float>& y) const {
    constexpr Index wide = kernels::group_columns<Rows>;
    const Index groups = in_features() / wide, first = groups * wide;
    Scratch scratch;
    auto* const left = scratch.take<float>(first);
    for (Index k = 0; k < first; k += wide)
      kernels::each_group_column<Rows>(
          [&](Index column, Index place) { left[k + place] = x[k + column]; });
    constexpr Index outputs = 64;
    const Index tasks = (out_features() + outputs - 1) / outputs;
    parallel_for(tasks, threads_for(tasks, work(1)), [&](Index task) {
      const Index begin = task * outputs, end = std::min(begin + outputs, out_features());
      float* const to = y.data() + begin;
      kernels::add_group_dots(rows, left, begin, end, groups, to);
      if (first < in_features())
        kernels::add_coded_dots<1>(rows, x, 0, begin, end, first / kernels::run_length,
                                   kernels::runs_of(in_features()), to, 0);
    });
  }

  template <kernels::CodedGroups Rows>
  void add_one_transposed(Rows rows, const float* dy, MatrixRef<float>& dx) const {
    constexpr Index wide = kernels::group_columns<Rows>;
    const Index groups = in_features() / wide, first = groups * wide;
    // Pieces as long as their sums stay in the first-level cache: rows are read in their order.
    // How a number is summed up does not depend on the cut.
    const Index threads = threads_for(groups, work(1));
    const Index part = std::max<Index>(1, std::min(4096 / wide, (groups + threads - 1) / threads));
    const Index pieces = (groups + part - 1) / part;
    const Index tasks = pieces + (first < in_features() ? 1 : 0);
    parallel_for(tasks, threads_for(tasks, work(1)), [&](Index task) {
      if (task == pieces) return add_one_edge(rows, dy, first, dx);
      const Index begin = task * part, end = std::min(begin + part, groups);
      const Index length = (end - begin) * wide;
      Scratch scratch;
      auto* const sums = scratch.take<float>(length);
      std::fill_n(sums, length, 0.0F);
      kernels::add_group_sums(rows, dy, begin, end, sums);
      float* const to = dx.data() + begin * wide;
      for (Index k = 0; k < length; k += wide)
        kernels::each_group_column<Rows>(
            [&](Index column, Index place) { to[k + column] += sums[k + place]; });
    });
  }

  // The columns from `first` on, which are no whole group.
  template <class Rows>
  void add_one_edge(Rows rows, const float* dy, Index first, MatrixRef<float>& dx) const {
    const Index begin = first / kernels::run_length, end = kernels::runs_of(in_features());
    const Index length = (end - begin) * kernels::run_length;
    Scratch scratch;
    auto* const sums = scratch.take<float>(length);
    std::fill_n(sums, length, 0.0F);
    kernels::add_coded_sums<1>(rows, dy, 0, begin, end, sums, 0);
    for (Index k = first; k < in_features(); ++k) dx(0, k) += sums[k - first];
  }

  // A few rows: W is decoded into registers, once for each band of them.
  void add_few(const ConstMatrixRef<float>& x, MatrixRef<float> y) const {
    const Index n = x.rows(), runs = kernels::runs_of(in_features());
    const Index padded = runs * kernels::run_length;
    Scratch scratch;
    const float* const left = in_bands(x, padded, scratch);
    constexpr Index outputs = 64;
    const Index tasks = (out_features() + outputs - 1) / outputs;
    codes_->visit([&](const auto& rows) {
      if constexpr (kernels::CodedGroups<std::remove_cvref_t<decltype(rows)>>)
        if (n == 1) return add_one(rows, left, y);
      parallel_for(tasks, threads_for(tasks, work(n)), [&](Index task) {
        const Index begin = task * outputs, end = std::min(begin + outputs, out_features());
        float sums[band * outputs];
        each_band(n, [&](Index i, auto count) {
          std::fill(sums, sums + count * outputs, 0.0F);
          constexpr Index depth = kernels::coded_depth(count);
          for (Index r = 0; r < runs; r += depth)
            kernels::add_coded_dots<count>(rows, left + i * padded, padded, begin, end, r,
                                           std::min(r + depth, runs), sums, outputs);
          for (Index k = i; k < std::min<Index>(i + count, n); ++k)
            for (Index o = begin; o < end; ++o) y(k, o) += sums[(k - i) * outputs + (o - begin)];
        });
      });
    });
  }

  void add_few_transposed(const ConstMatrixRef<float>& dy, MatrixRef<float> dx) const {
    const Index n = dy.rows(), runs = kernels::runs_of(in_features());
    Scratch scratch;
    const float* const left = in_bands(dy, out_features(), scratch);
    // A band of sums stays in the first-level cache, and rows are read some cache lines at a time.
    constexpr Index part = 32;
    const Index tasks = (runs + part - 1) / part;
    codes_->visit([&](const auto& rows) {
      if constexpr (kernels::CodedGroups<std::remove_cvref_t<decltype(rows)>>)
        if (n == 1) return add_one_transposed(rows, left, dx);
      parallel_for(tasks, threads_for(tasks, work(n)), [&](Index task) {
        const Index begin = task * part, end = std::min(begin + part, runs);
        const Index length = (end - begin) * kernels::run_length;
        const Index first = begin * kernels::run_length;
        Scratch own;
        auto* const sums = own.take<float>(band * length);
        each_band(n, [&](Index i, auto count) {
          std::fill(sums, sums + count * length, 0.0F);
          kernels::add_coded_sums<count>(rows, left + i * out_features(), out_features(), begin,
                                         end, sums, length);
          for (Index k = i; k < std::min<Index>(i + count, n); ++k)
            for (Index j = 0; j < std::min(length, in_features() - first); ++j)
              dx(k, first + j) += sums[(k - i) * length + j];
        });
      });
    });
  }

  std::shared_ptr<const Codes> codes_;  // which copies share
};

}  // namespace lora
