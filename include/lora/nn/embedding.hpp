#pragma once

#include <algorithm>
#include <initializer_list>
#include <span>
#include <string_view>

#include "lora/core/elementwise.hpp"
#include "lora/core/output.hpp"

namespace lora {

/// A view of a table (entries, D) and of the N entries that are asked of it; `name` stands in
/// messages.
template <class T>
struct EmbeddingLookup {
  ConstMatrixRef<T> table;
  std::span<const int> ids;
  std::string_view name = "table";
};

namespace detail {

template <class T>
void check_lookup(const EmbeddingLookup<T>& lookup, Index n, Index d, const char* where) {
  require_cols(lookup.table, d, where, lookup.name, "embedding_features");
  if (static_cast<Index>(lookup.ids.size()) != n)
    throw ShapeError(message(where, ": ", lookup.ids.size(), " ids of ", lookup.name,
                             ", expected one for each of ", n, " rows"));
  for (std::size_t i = 0; i < lookup.ids.size(); ++i)
    if (lookup.ids[i] < 0 || lookup.ids[i] >= lookup.table.rows())
      throw ShapeError(message(where, ": id ", i, " of ", lookup.name, " is ", lookup.ids[i],
                               ", expected an entry in [0, ", lookup.table.rows(), ")"));
}

}  // namespace detail

/// Computes y (N, D), which is no part of a table, as the sum of rows of one table or several, in
/// one pass: y[n] = sum over l of table_l[ids_l[n]]. BERT's are tokens, positions and token types:
///
///     embedding<float>({{words, ids, "tokens"}, {places, positions, "positions"}}, y);
///
/// The tables are frozen: there is no backward to call. Throws ShapeError, before anything
/// changes, for tables of different widths and an id that a table does not have.
template <class T>
void embedding(std::span<const EmbeddingLookup<T>> lookups, Output<T> y) {
  if (lookups.empty()) throw ShapeError("embedding: there is no table, expected at least one");
  const Index n = static_cast<Index>(lookups[0].ids.size()), d = lookups[0].table.cols();
  for (const auto& lookup : lookups) {
    detail::check_lookup(lookup, n, d, "embedding");
    y.check(n, d, "embedding", "y", {lookup.table});
  }
  MatrixRef<T> sums = y.shaped(n, d, "embedding", "y");
  for_each_row(n, d, 16, [&](Index row) {
    const auto entry = [&](const EmbeddingLookup<T>& lookup) {
      return lookup.table.data() +
             lookup.ids[static_cast<std::size_t>(row)] * lookup.table.outerStride();
    };
    T* out = sums.data() + row * sums.outerStride();
    std::copy_n(entry(lookups[0]), d, out);
    for (const auto& lookup : lookups.subspan(1))
      packets::transform(
          d, out,
          [](const Packet<T>& sum, const Packet<T>& v) { return Eigen::internal::padd(sum, v); },
          out, entry(lookup));
  });
}

/// Does the same for a list in braces.
template <class T>
void embedding(std::initializer_list<EmbeddingLookup<T>> lookups, Output<T> y) {
  embedding<T>(std::span<const EmbeddingLookup<T>>(lookups.begin(), lookups.size()), y);
}

/// Adds the gradient of a table that trains, as in full fine-tuning: dtable[ids[n]] += dy[n] for
/// dy (N, D) and dtable (entries, D), which is no part of dy. Equal ids add up in their order.
/// Throws ShapeError, before anything changes.
template <class T>
void embedding_backward(std::span<const int> ids, ConstMatrixRef<T> dy, MatrixRef<T> dtable) {
  constexpr const char* where = "embedding_backward";
  const Index n = dy.rows(), d = dtable.cols();
  require_cols(dy, d, where, "dy", "embedding_features");
  detail::check_lookup<T>({dtable, ids, "dtable"}, n, d, where);
  Output<T>(dtable).check(dtable.rows(), d, where, "dtable", {dy});
  // Blocks of columns: no two threads add to one element.
  constexpr Index width = 64;
  const Index tasks = (d + width - 1) / width;
  const double work = 16 * static_cast<double>(n) * static_cast<double>(d);
  parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
    const Index first = task * width, count = std::min(width, d - first);
    for (Index row = 0; row < n; ++row)
      dtable.row(ids[static_cast<std::size_t>(row)]).segment(first, count) +=
          dy.row(row).segment(first, count);
  });
}

}  // namespace lora
