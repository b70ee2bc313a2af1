#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/gradients.hpp"
#include "lora/core/output.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/place.hpp"
#include "lora/core/printable.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/product.hpp"

namespace lora {

/// What the name of rows that train ends in, after that of their module.
inline constexpr std::string_view trainable_tokens_suffix = ".token_adapter.trainable_tokens_delta";

/// Some rows of a frozen table (V, D) that train themselves, as the new tokens of a vocabulary do:
/// PEFT's `trainable_token_indices`. The table, an embedding's or a head's, is with K of its rows
///
///     W'[indices[k]] = values[k],   W'[v] = W[v] of all others,
///
/// where `values` (K, D) begin as the table's own rows. They are no difference to these: where the
/// table is resized or begins anew, the rows are still what was trained. Beside a lookup,
///
///     embedding<float>({{table, ids}}, y);   tokens.forward(ids, y);
///     tokens.backward(ids, dy);
///
/// and beside a head, which may be of the same table (tied weights), y = x W'^T:
///
///     head.forward(x, y);                    tokens.project(x, y);
///     head.backward(x, dy, tape, dx);        tokens.project_backward(x, dy, dx);
///
/// Both gradients add up in one parameter. In a mixed batch the rows act in some of its rows alone:
/// `chosen`, the last argument of the const calls, has an element for each, which is 0 where the
/// table's own rows stay; left out, the rows act in all. Const calls may come from several threads
/// at once, each with Gradients of its own where it takes a target. The same bits for any number of
/// threads; a second call of the same shapes allocates nothing.
///
/// Source: PEFT 0.21.2, tuners/trainable_tokens/layer.py.
template <class T>
class TrainableTokens {
 public:
  using Scalar = T;

  /// Takes the rows `indices` of `table` (V, D), that of the module called `module`. Throws
  /// ConfigError unless the indices are some, in [0, V) and each there once.
  TrainableTokens(const std::string& module, std::vector<int> indices, ConstMatrixRef<T> table)
      : TrainableTokens(module, std::move(indices), table.rows(), table.cols(),
                        [&](Index row, T* to) {
                          std::copy_n(table.data() + row * table.outerStride(), table.cols(), to);
                        }) {}

  /// Does the same for a table (entries, features) of any storage: copy_row(i, to) writes a row of
  /// it.
  template <class CopyRow>
  TrainableTokens(std::string module, std::vector<int> indices, Index entries, Index features,
                  const CopyRow& copy_row)
      : name_(std::move(module)), entries_(entries), indices_(std::move(indices)) {
    require_indices();
    originals_.resize(size(), features);
    for (Index k = 0; k < size(); ++k) copy_row(index(k), originals_.data() + k * features);
    values_ = Parameter<T>(name_ + std::string(trainable_tokens_suffix), originals_);
    for (Index k = 0; k < size(); ++k)
      sorted_.emplace_back(indices_[static_cast<std::size_t>(k)], k);
    std::sort(sorted_.begin(), sorted_.end());
  }

  /// Returns the module's name.
  [[nodiscard]] const std::string& name() const { return name_; }

  /// Returns K, the number of rows.
  [[nodiscard]] Index size() const { return static_cast<Index>(indices_.size()); }
  /// Returns V, the table's rows.
  [[nodiscard]] Index entries() const { return entries_; }
  /// Returns D, the table's columns.
  [[nodiscard]] Index features() const { return originals_.cols(); }

  /// Returns which rows train, in the order of values().
  [[nodiscard]] const std::vector<int>& indices() const { return indices_; }

  /// Returns the rows (K, D), the parameter `<module>.token_adapter.trainable_tokens_delta`.
  [[nodiscard]] const Parameter<T>& values() const { return values_; }
  [[nodiscard]] Parameter<T>& values() { return values_; }

  /// Lists what trains: values().
  [[nodiscard]] ParameterList<T> parameters() {
    ParameterList<T> list;
    list.add(values_);
    return list;
  }

  /// Switches the rows on or off: off the table is the base's. Throws StateError while merged.
  void enable_adapter() { set_enabled(true, "TrainableTokens::enable_adapter"); }
  void disable_adapter() { set_enabled(false, "TrainableTokens::disable_adapter"); }
  [[nodiscard]] bool adapter_enabled() const { return enabled_; }

  /// Puts the rows of tokens that train into y (N, D), which holds the table's rows of `ids`.
  /// Throws ShapeError unless y has a row for each id.
  void forward(std::span<const int> ids, MatrixRef<T> y, std::span<const char> chosen = {}) const {
    constexpr const char* where = "TrainableTokens::forward";
    require_rows(ids, y, where, "y");
    require_chosen(chosen, y.rows(), where);
    if (!in_use()) return;
    for (std::size_t n = 0; n < ids.size(); ++n)
      if (const Index k = find(ids[n]); k >= 0 && is_chosen(chosen, n))
        y.row(static_cast<Index>(n)) = values_.value.row(k);
  }

  /// Adds dy (N, D) of the rows of tokens that train to their gradients; equal ids add up in their
  /// order. What lies below a table has no gradient. Throws ShapeError, and StateError while
  /// switched off or merged.
  void backward(std::span<const int> ids, ConstMatrixRef<T> dy) {
    backward(ids, dy, GradientTarget<T>::own());
  }
  void backward(std::span<const int> ids, ConstMatrixRef<T> dy, GradientTarget<T> target,
                std::span<const char> chosen = {}) const {
    constexpr const char* where = "TrainableTokens::backward";
    require_rows(ids, dy, where, "dy");
    require_chosen(chosen, dy.rows(), where);
    if (none_of(chosen)) return;
    require_trains(where);
    MatrixRef<T> gradient = target.of(values_);
    for (std::size_t n = 0; n < ids.size(); ++n)
      if (const Index k = find(ids[n]); k >= 0 && is_chosen(chosen, n))
        gradient.row(k) += dy.row(static_cast<Index>(n));
  }

  /// Puts the products with rows that train into y (N, V), which holds x W^T of x (N, D). Throws
  /// ShapeError.
  void project(ConstMatrixRef<T> x, MatrixRef<T> y, std::span<const char> chosen = {}) const {
    constexpr const char* where = "TrainableTokens::project";
    require_head(x, y, where, "y");
    require_chosen(chosen, y.rows(), where);
    if (!in_use() || none_of(chosen)) return;
    Scratch scratch;
    MatrixRef<T> products = scratch.matrix<T>(x.rows(), size());
    products.setZero();
    add_product(products, T(1), x, values_.value.transpose());
    for (Index n = 0; n < y.rows(); ++n)
      for (Index k = 0; k < size() && is_chosen(chosen, static_cast<std::size_t>(n)); ++k)
        y(n, index(k)) = products(n, k);
  }

  /// Adds to the gradients of the rows, from x (N, D) and dy (N, V), and makes of dx = dy W, which
  /// dx (N, D) holds, dy W'. Throws ShapeError, and StateError while switched off or merged.
  void project_backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, MatrixRef<T> dx) {
    project_backward(x, dy, GradientTarget<T>::own(), dx);
  }
  void project_backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, GradientTarget<T> target,
                        MatrixRef<T> dx, std::span<const char> chosen = {}) const {
    constexpr const char* where = "TrainableTokens::project_backward";
    require_head(x, dy, where, "dy");
    require_shape(dx, x.rows(), features(), Place{where, name_}, "dx", "rows of x", "features");
    require_chosen(chosen, x.rows(), where);
    if (none_of(chosen)) return;
    require_trains(where);
    MatrixRef<T> gradient = target.of(values_);
    Scratch scratch;
    MatrixRef<T> part = scratch.matrix<T>(dy.rows(), size());
    for (Index n = 0; n < dy.rows(); ++n)
      for (Index k = 0; k < size(); ++k)
        part(n, k) = is_chosen(chosen, static_cast<std::size_t>(n)) ? dy(n, index(k)) : T(0);
    add_product(gradient, T(1), part.transpose(), x);
    // The frozen product had the table's own rows.
    MatrixRef<T> difference = scratch.matrix<T>(size(), features());
    difference = values_.value - originals_;
    add_product(dx, T(1), part, difference);
  }

  /// Writes the rows into `table` (V, D), the module's, and leaves it to forward alone from then
  /// on. Throws ShapeError, and StateError while merged or switched off.
  void merge(MatrixRef<T> table) {
    const Place where{"TrainableTokens::merge", name_};
    require_table(table, where);
    if (merged()) throw StateError(message(where, ": the rows are merged already"));
    if (!enabled_) throw StateError(message(where, ": the rows are switched off"));
    Matrix<T> before(size(), features());
    for (Index k = 0; k < size(); ++k) before.row(k) = table.row(index(k));
    for (Index k = 0; k < size(); ++k) table.row(index(k)) = values_.value.row(k);
    before_merge_.swap(before);
  }

  /// Gives the table the bits that it had before merge. Throws ShapeError, and StateError unless
  /// merged.
  void unmerge(MatrixRef<T> table) {
    const Place where{"TrainableTokens::unmerge", name_};
    require_table(table, where);
    if (!merged()) throw StateError(message(where, ": the rows are not merged"));
    for (Index k = 0; k < size(); ++k) table.row(index(k)) = before_merge_.row(k);
    before_merge_.resize(0, 0);
  }

  [[nodiscard]] bool merged() const { return before_merge_.size() > 0; }

 private:
  [[nodiscard]] Index index(Index k) const { return indices_[static_cast<std::size_t>(k)]; }
  [[nodiscard]] bool in_use() const { return enabled_ && !merged(); }

  // Returns which of the rows that train is that of `id`, or -1.
  [[nodiscard]] Index find(int id) const {
    const auto at = std::lower_bound(sorted_.begin(), sorted_.end(), std::pair<int, Index>(id, 0));
    return at != sorted_.end() && at->first == id ? at->second : -1;
  }

  void require_indices() const {
    const auto fail = [&](const std::string& what) {
      throw ConfigError(
          message("TrainableTokens: the trainable_token_indices of ", in_quotes(name_), " ", what));
    };
    if (indices_.empty()) fail("are none, expected at least one");
    std::vector<int> seen(indices_);
    std::sort(seen.begin(), seen.end());
    for (const int each : {seen.front(), seen.back()})
      if (each < 0 || each >= entries_)
        fail(message("have ", each, ", expected a row in [0, ", entries_, ")"));
    if (const auto twice = std::adjacent_find(seen.begin(), seen.end()); twice != seen.end())
      fail(message("have ", *twice, " twice"));
  }

  void require_rows(std::span<const int> ids, ConstMatrixRef<T> rows, const char* where,
                    const char* what) const {
    require_shape(rows, static_cast<Index>(ids.size()), features(), Place{where, name_}, what,
                  "ids", "features");
  }

  void require_head(ConstMatrixRef<T> x, ConstMatrixRef<T> y, const char* where,
                    const char* what) const {
    require_cols(x, features(), Place{where, name_}, "x", "features");
    require_shape(y, x.rows(), entries_, Place{where, name_}, what, "rows of x", "entries");
  }

  void require_table(ConstMatrixRef<T> table, const Place& where) const {
    require_shape(table, entries_, features(), where, "table", "entries", "features");
  }

  void require_chosen(std::span<const char> chosen, Index rows, const char* where) const {
    if (!chosen.empty() && static_cast<Index>(chosen.size()) != rows)
      throw ShapeError(message(Place{where, name_}, ": chosen has ", chosen.size(),
                               " elements, expected one for each of ", rows, " rows"));
  }

  [[nodiscard]] static bool is_chosen(std::span<const char> chosen, std::size_t n) {
    return chosen.empty() || chosen[n] != 0;
  }

  [[nodiscard]] static bool none_of(std::span<const char> chosen) {
    return !chosen.empty() &&
           std::none_of(chosen.begin(), chosen.end(), [](char each) { return each != 0; });
  }

  void require_trains(const char* where) const {
    if (in_use()) return;
    throw StateError(message(Place{where, name_}, ": the rows are ",
                             merged() ? "merged: unmerge() first" : "switched off"));
  }

  void set_enabled(bool enabled, const char* where) {
    if (merged()) throw StateError(message(Place{where, name_}, ": the rows are merged"));
    enabled_ = enabled;
  }

  std::string name_;
  Index entries_ = 0;
  std::vector<int> indices_;
  std::vector<std::pair<int, Index>> sorted_;  // indices, and the row of values_ of each
  Matrix<T> originals_;                        // the frozen table's rows
  Parameter<T> values_;
  Matrix<T> before_merge_;  // what unmerge gives back
  bool enabled_ = true;
};

}  // namespace lora
