#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "lora/core/elementwise.hpp"
#include "lora/core/gradients.hpp"
#include "lora/core/output.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/tape.hpp"
#include "lora/nn/sequences.hpp"

namespace lora {

/// The label of a token that no loss counts, as in PyTorch and transformers.
inline constexpr int ignored_label = -100;

/// The sum of the losses of labelled tokens, natural logarithms, and how many they are.
struct LanguageModelLoss {
  double sum = 0;
  Index tokens = 0;

  /// Returns sum / tokens. Throws StateError without tokens.
  [[nodiscard]] double mean() const {
    if (tokens == 0) throw StateError("LanguageModelLoss: no token has a label");
    return sum / static_cast<double>(tokens);
  }
};

/// Turns labels that stand beside their tokens, as transformers' `labels`, into what each row is to
/// predict: the label of the next row of its sequence, ignored_label for the last. `out` is
/// emptied first. Throws ShapeError unless there is a label for each row.
inline void next_token_labels(std::span<const int> labels, const Sequences& sequences,
                              std::vector<int>& out) {
  if (static_cast<Index>(labels.size()) != sequences.rows())
    throw ShapeError(message("next_token_labels: ", labels.size(),
                             " labels, expected one for each of ", sequences.rows(), " rows"));
  out.assign(labels.size(), ignored_label);
  for (Index b = 0; b < sequences.size(); ++b) {
    const auto& sequence = sequences[b];
    for (Index i = sequence.first; i + 1 < sequence.last; ++i) {
      const auto row = static_cast<std::size_t>(sequence.begin + i);
      out[row] = labels[row + 1];
    }
  }
}

namespace detail {

// Is satisfied by a head that is told which rows of the hidden states it has.
template <class Head, class T>
concept TakesRows = requires(const Head& head, std::span<const Index> rows, ConstMatrixRef<T> x,
                             Tape<T>& tape, MatrixRef<T> y) {
  head.forward(rows, x, tape, y);
};

// Returns how many rows of `columns` logits are computed at a time: with too few the head's weight
// would be read from memory too often, too many take too much memory.
[[nodiscard]] inline Index logits_rows(Index rows, Index columns) {
  constexpr Index elements = Index{1} << 23, least = 64;
  const Index most = std::max(least, elements / std::max<Index>(1, columns));
  const Index chunks = (rows + most - 1) / most;
  return chunks == 0 ? 0 : (rows + chunks - 1) / chunks;
}

// Returns how many rows have a label.
[[nodiscard]] inline Index check_labels(std::span<const int> labels, Index rows, Index classes,
                                        const char* where) {
  if (static_cast<Index>(labels.size()) != rows)
    throw ShapeError(message(where, ": ", labels.size(), " labels, expected one for each of ", rows,
                             " rows of hidden"));
  Index count = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (labels[i] == ignored_label) continue;
    if (labels[i] < 0 || labels[i] >= classes)
      throw ShapeError(message(where, ": label ", i, " is ", labels[i],
                               ", expected a token in [0, ", classes, ") or ", ignored_label));
    ++count;
  }
  return count;
}

// Calls use(rows, x) for chunks of the labelled rows of hidden: their numbers, and copies of them.
template <class T, class Use>
void for_each_chunk(ConstMatrixRef<T> hidden, std::span<const int> labels, Index count,
                    Index columns, const Use& use) {
  Scratch scratch;
  auto* rows = scratch.take<Index>(count);
  Index found = 0;
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] != ignored_label) rows[found++] = static_cast<Index>(i);
  const Index step = logits_rows(count, columns);
  const Index width = hidden.cols();
  T* memory = scratch.take<T>(step * width);
  for (Index first = 0; first < count; first += step) {
    const Index size = std::min(step, count - first);
    for (Index i = 0; i < size; ++i)
      std::copy_n(hidden.data() + rows[first + i] * hidden.outerStride(), width,
                  memory + i * width);
    use(std::span<const Index>(rows + first, static_cast<std::size_t>(size)),
        MatrixRef<T>(memory, size, width, width));
  }
}

// The largest logit of a row, and the sum of e^(logit - largest).
template <class T>
struct RowSum {
  T largest, sum;

  [[nodiscard]] T log_sum() const {
    using std::log;
    return largest + log(sum);
  }
};

template <class T>
[[nodiscard]] RowSum<T> exponentials_of(T* row, Index columns) {
  namespace ei = Eigen::internal;
  const T largest = packets::largest(columns, row);
  const auto shift = ei::pset1<Packet<T>>(largest);
  const T sum = packets::transform_and_sum(
      columns, row, [&](const Packet<T>& v) { return packets::exp<T>(ei::psub(v, shift)); }, row);
  return {largest, sum};
}

}  // namespace detail

/// Computes the cross entropy of a language model's next tokens and its gradients, without ever
/// forming all logits: the rows of hidden (N, d) that have a label go through the head, some at a
/// time, forward and backward at once ("fused linear cross entropy", Liger Kernel 2024):
///
///     logits = head(hidden),  loss = sum over labelled rows of -log softmax(logits)[label] / W,
///     dlogits = (softmax(logits) - onehot(label)) / W,  dhidden = dlogits through the head
///
/// W is `total`, the labelled tokens of a whole batch that goes through in parts; the labelled rows
/// of this call if left out. labels has a token or ignored_label for each row; dhidden (N, d),
/// which is no part of hidden, is zero in rows without a label. The gradients of what trains in
/// the head are added to `gradients`. Head has forward(x, tape, y) and the const backward of
/// LoRALinear or Linear, whose frames come and go on the tape; or forward(rows, x, tape, y), which
/// is told which rows of hidden x has.
///
/// Returns the unscaled sum and count. Throws ShapeError, and ConfigError where no row has a label
/// (PyTorch's loss is NaN then) or total is less than the labelled rows, before anything changes.
/// The same bits for any number of threads; a second call of the same shapes allocates nothing.
template <class T, class Head>
LanguageModelLoss language_model_loss(const Head& head, ConstMatrixRef<T> hidden,
                                      std::span<const int> labels, std::optional<Index> total,
                                      Tape<T>& tape, GradientTarget<T> gradients,
                                      Output<T> dhidden) {
  namespace ei = Eigen::internal;
  constexpr const char* where = "language_model_loss";
  const Index classes = head.out_features();
  require_cols(hidden, head.in_features(), where, "hidden", "in_features of the head");
  const Index count = detail::check_labels(labels, hidden.rows(), classes, where);
  if (count == 0)
    throw ConfigError(message(where, ": none of the ", labels.size(),
                              " labels is a token, expected at least one that is not ",
                              ignored_label));
  if (total && *total < count)
    throw ConfigError(
        message(where, ": total is ", *total, ", expected at least the ", count, " labelled rows"));
  const T scale = T(1) / static_cast<T>(total.value_or(count));
  MatrixRef<T> dx = dhidden.shaped(hidden.rows(), hidden.cols(), where, "dhidden", {hidden});
  dx.setZero();
  LanguageModelLoss loss{0, count};
  detail::for_each_chunk(hidden, labels, count, classes, [&](auto rows, MatrixRef<T> x) {
    Scratch scratch;
    T* memory = scratch.take<T>(x.rows() * classes);
    const MatrixRef<T> logits(memory, x.rows(), classes, classes);
    T* losses = scratch.take<T>(x.rows());
    if constexpr (detail::TakesRows<Head, T>)
      head.forward(rows, x, tape, logits);
    else
      head.forward(x, tape, logits);
    for_each_row(x.rows(), classes, 32, [&](Index i) {
      T* row = memory + i * classes;
      const int label = labels[static_cast<std::size_t>(rows[static_cast<std::size_t>(i)])];
      const T picked = row[label];
      const auto sum = detail::exponentials_of(row, classes);
      losses[i] = sum.log_sum() - picked;
      const auto factor = ei::pset1<Packet<T>>(scale / sum.sum);
      packets::transform(
          classes, row, [&](const Packet<T>& e) { return ei::pmul(e, factor); }, row);
      row[label] -= scale;
    });
    for (Index i = 0; i < x.rows(); ++i) loss.sum += static_cast<double>(losses[i]);
    const MatrixRef<T> part = scratch.matrix<T>(x.rows(), x.cols());
    head.backward(x, logits, tape, gradients, part);
    for (Index i = 0; i < x.rows(); ++i) dx.row(rows[static_cast<std::size_t>(i)]) = part.row(i);
  });
  return loss;
}

/// Does the same, but adds to the head's own gradients.
template <class T, class Head>
LanguageModelLoss language_model_loss(Head& head, ConstMatrixRef<T> hidden,
                                      std::span<const int> labels, std::optional<Index> total,
                                      Tape<T>& tape, Output<T> dhidden) {
  return language_model_loss<T>(std::as_const(head), hidden, labels, total, tape,
                                GradientTarget<T>::own(), dhidden);
}

/// Computes -log softmax(head(hidden))[label] for each row, 0 where there is no label, to `losses`,
/// as many numbers: without dropout, in parts as above. Throws ShapeError.
template <class T, class Head>
void token_losses(const Head& head, ConstMatrixRef<T> hidden, std::span<const int> labels,
                  std::span<T> losses) {
  constexpr const char* where = "token_losses";
  const Index classes = head.out_features();
  require_cols(hidden, head.in_features(), where, "hidden", "in_features of the head");
  const Index count = detail::check_labels(labels, hidden.rows(), classes, where);
  if (losses.size() != labels.size())
    throw ShapeError(message(where, ": losses has ", losses.size(), " elements, expected the ",
                             labels.size(), " labels'"));
  std::fill(losses.begin(), losses.end(), T(0));
  detail::for_each_chunk(hidden, labels, count, classes, [&](auto rows, MatrixRef<T> x) {
    Scratch scratch;
    T* memory = scratch.take<T>(x.rows() * classes);
    const MatrixRef<T> logits(memory, x.rows(), classes, classes);
    head.forward(x, logits);
    for_each_row(x.rows(), classes, 32, [&](Index i) {
      T* row = memory + i * classes;
      const auto at = static_cast<std::size_t>(rows[static_cast<std::size_t>(i)]);
      const T picked = row[labels[at]];
      losses[at] = detail::exponentials_of(row, classes).log_sum() - picked;
    });
  });
}

/// Computes the loss alone, without dropout: for perplexity. Throws ShapeError; where no row has a
/// label the result has no tokens.
template <class T, class Head>
[[nodiscard]] LanguageModelLoss language_model_loss(const Head& head, ConstMatrixRef<T> hidden,
                                                    std::span<const int> labels) {
  Scratch scratch;
  const auto size = static_cast<Index>(labels.size());
  const std::span<T> losses(scratch.take<T>(size), labels.size());
  token_losses<T>(head, hidden, labels, losses);
  LanguageModelLoss loss;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    loss.sum += static_cast<double>(losses[i]);
    if (labels[i] != ignored_label) ++loss.tokens;
  }
  return loss;
}

}  // namespace lora
