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
#include "lora/kernels/decoded_rows.hpp"
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
  // How much work so many rows are; see threads_for.
  [[nodiscard]] double work(Index rows) const {
    return 4 * static_cast<double>(out_features()) * static_cast<double>(in_features()) *
           static_cast<double>(rows);
  }

  // How many columns of dx, whole steps, a task takes of one row: as many as stay in the
  // first-level cache, so that rows of W are read in their order. How a number is summed up does
  // not depend on the cut.
  [[nodiscard]] Index piece(Index step) const {
    constexpr Index most = 4096;
    const Index steps = (in_features() + step - 1) / step;
    const Index threads = threads_for(steps, work(1));
    return std::min(most / step, (steps + threads - 1) / threads) * step;
  }

  // One row where codes can be read only run by run.
  template <class Rows>
  void add_one(Rows rows, const float* x, MatrixRef<float>& y) const {
    constexpr Index outputs = 64;
    const Index tasks = (out_features() + outputs - 1) / outputs;
    parallel_for(tasks, threads_for(tasks, work(1)), [&](Index task) {
      const Index begin = task * outputs, end = std::min(begin + outputs, out_features());
      kernels::add_coded_dots(rows, x, begin, end, 0, kernels::runs_of(in_features()),
                              y.data() + begin);
    });
  }

  template <class Rows>
  void add_one_transposed(Rows rows, const float* dy, MatrixRef<float>& dx) const {
    const Index part = piece(kernels::run_length);
    const Index tasks = (in_features() + part - 1) / part;
    parallel_for(tasks, threads_for(tasks, work(1)), [&](Index task) {
      add_one_edge(rows, dy, task * part, std::min((task + 1) * part, in_features()), dx);
    });
  }

  // One row where they can be read in groups.
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
        kernels::add_coded_dots(rows, x, begin, end, first / kernels::run_length,
                                kernels::runs_of(in_features()), to);
    });
  }

  template <kernels::CodedGroups Rows>
  void add_one_transposed(Rows rows, const float* dy, MatrixRef<float>& dx) const {
    constexpr Index wide = kernels::group_columns<Rows>;
    const Index groups = in_features() / wide, first = groups * wide;
    const Index part = piece(wide) / wide, pieces = (groups + part - 1) / part;
    const Index tasks = pieces + (first < in_features() ? 1 : 0);
    parallel_for(tasks, threads_for(tasks, work(1)), [&](Index task) {
      if (task == pieces) return add_one_edge(rows, dy, first, in_features(), dx);
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

  // Columns `first`, which begins a run, to `last`.
  template <class Rows>
  void add_one_edge(Rows rows, const float* dy, Index first, Index last,
                    MatrixRef<float>& dx) const {
    const Index begin = first / kernels::run_length, end = kernels::runs_of(last);
    const Index length = (end - begin) * kernels::run_length;
    Scratch scratch;
    auto* const sums = scratch.take<float>(length);
    std::fill_n(sums, length, 0.0F);
    kernels::add_coded_sums(rows, dy, begin, end, sums);
    for (Index k = first; k < last; ++k) dx(0, k) += sums[k - first];
  }

  // A few rows: W is decoded once for all of them.
  void add_few(const ConstMatrixRef<float>& x, MatrixRef<float> y) const {
    Scratch scratch;
    if (x.rows() == 1) {
      const Index padded = kernels::runs_of(in_features()) * kernels::run_length;
      auto* const left = scratch.take<float>(padded);
      std::fill(std::copy_n(x.data(), in_features(), left), left + padded, 0.0F);
      return codes_->visit([&](const auto& rows) { add_one(rows, left, y); });
    }
    const auto sets = kernels::DotSets::packed(
        x, scratch.take<float>(kernels::DotSets::size(x.rows(), in_features())));
    constexpr Index outputs = kernels::decoded_outputs;
    const Index tasks = (out_features() + outputs - 1) / outputs;
    codes_->visit([&](const auto& rows) {
      parallel_for(tasks, threads_for(tasks, work(x.rows())), [&](Index task) {
        const Index begin = task * outputs;
        kernels::add_decoded_dots(rows, sets, begin, std::min(begin + outputs, out_features()), y);
      });
    });
  }

  void add_few_transposed(const ConstMatrixRef<float>& dy, MatrixRef<float> dx) const {
    if (dy.rows() == 1)
      return codes_->visit([&](const auto& rows) { add_one_transposed(rows, dy.data(), dx); });
    Scratch scratch;
    const auto left = kernels::SumSets::packed(
        dy, scratch.take<float>(kernels::SumSets::size(dy.rows(), out_features())));
    const Index runs = kernels::runs_of(in_features());
    // How a number is summed up does not depend on the cut.
    const Index threads = threads_for(runs, work(dy.rows()));
    const Index part = std::min(kernels::decoded_runs, (runs + threads - 1) / threads);
    const Index tasks = (runs + part - 1) / part;
    codes_->visit([&](const auto& rows) {
      parallel_for(tasks, threads_for(tasks, work(dy.rows())), [&](Index task) {
        const Index begin = task * part;
        kernels::add_decoded_sums(rows, left, begin, std::min(begin + part, runs), dx);
      });
    });
  }

  std::shared_ptr<const Codes> codes_;  // which copies share
};

}  // namespace lora
