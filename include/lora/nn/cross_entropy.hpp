#pragma once

#include <cmath>
#include <optional>
#include <span>

#include "lora/core/elementwise.hpp"
#include "lora/core/finite.hpp"
#include "lora/core/output.hpp"
#include "lora/core/scratch.hpp"

namespace lora {

/// The ways in which the losses of the rows become one number.
enum class Reduction {
  mean,  ///< the sum over the total weight of the rows' labels
  sum,   ///< the sum: to be divided by the caller, as over several small batches
};

/// Settings of a cross_entropy; the words and defaults are those of
/// torch.nn.functional.cross_entropy.
template <class T>
struct CrossEntropyOptions {
  std::span<const T> class_weights = {};   ///< w (C), none negative; all 1 if empty
  double label_smoothing = 0;              ///< e in [0, 1]
  std::optional<int> ignore_index = -100;  ///< a label whose rows count nothing; none if empty
  Reduction reduction = Reduction::mean;   ///< how the rows are combined
};

namespace detail {

template <class T>
void check_cross_entropy(Index n, Index classes, std::span<const int> labels,
                         const CrossEntropyOptions<T>& options) {
  if (static_cast<Index>(labels.size()) != n)
    throw ShapeError(message("cross_entropy: ", labels.size(), " labels, expected one for each of ",
                             n, " rows of logits"));
  for (std::size_t i = 0; i < labels.size(); ++i)
    if (labels[i] != options.ignore_index && (labels[i] < 0 || labels[i] >= classes))
      throw ShapeError(message("cross_entropy: label ", i, " is ", labels[i],
                               ", expected a class in [0, ", classes, ")"));
  if (!options.class_weights.empty() && static_cast<Index>(options.class_weights.size()) != classes)
    throw ShapeError(message("cross_entropy: ", options.class_weights.size(),
                             " class weights, expected one for each of ", classes, " classes"));
  for (const T weight : options.class_weights)
    if (!is_finite(weight) || weight < T(0))
      throw ConfigError(message("cross_entropy: a class weight is ", weight,
                                ", expected a finite number of at least 0"));
  if (const double e = options.label_smoothing; !is_finite(e) || e < 0 || e > 1)
    throw ConfigError(message("cross_entropy: label_smoothing is ", e, ", expected 0 to 1"));
}

}  // namespace detail

/// Computes the cross entropy of softmax(logits) and the labels, and its gradient. With a row's
/// target t_c = (1 - e) w_label [c = label] + e w_c / C and p = softmax(logits of the row),
///
///     loss = sum over rows and classes of -t_c log p_c / W,  dlogits = (p sum(t) - t) / W,
///
/// W the sum of w_label over the rows that are not ignored, or 1 for Reduction::sum. logits and
/// dlogits (N, C), labels N numbers. dlogits may be logits itself, but no other part of its memory.
/// Where W = 0 (an empty batch, every row ignored) the result is 0, where PyTorch's is NaN. Throws
/// ShapeError for a wrong number of labels or weights or a label outside [0, C), ConfigError for
/// options out of range, before anything changes.
template <class T>
T cross_entropy(ConstMatrixRef<T> logits, std::span<const int> labels,
                const CrossEntropyOptions<T>& options, Output<T> dlogits) {
  namespace ei = Eigen::internal;
  const Index n = logits.rows(), classes = logits.cols();
  detail::check_cross_entropy<T>(n, classes, labels, options);
  const T* weights = options.class_weights.empty() ? nullptr : options.class_weights.data();
  const auto weight_of = [&](int label) {
    if (label == options.ignore_index) return T(0);
    return weights == nullptr ? T(1) : weights[label];
  };
  T total = 1;
  if (options.reduction == Reduction::mean) {
    total = 0;
    for (const int label : labels) total += weight_of(label);
  }
  const T scale = total > T(0) ? T(1) / total : T(0);
  const T hard = static_cast<T>(1 - options.label_smoothing);
  const T soft =
      classes == 0 ? T(0) : static_cast<T>(options.label_smoothing / static_cast<double>(classes));
  T weight_sum = static_cast<T>(classes);
  if (weights != nullptr) {
    weight_sum = 0;
    for (Index c = 0; c < classes; ++c) weight_sum += weights[c];
  }

  MatrixRef<T> gradient =
      dlogits.shaped_elementwise(n, classes, "cross_entropy", "dlogits", {logits});
  Scratch scratch;
  T* losses = scratch.take<T>(n);  // summed in one order, whatever the threads
  for_each_row(n, classes, 32, [&](Index row) {
    const int label = labels[static_cast<std::size_t>(row)];
    const T* in = logits.data() + row * logits.outerStride();
    T* out = gradient.data() + row * gradient.outerStride();
    if (label == options.ignore_index || scale == T(0)) {
      std::fill_n(out, classes, T(0));
      losses[row] = T(0);
      return;
    }
    const T largest = packets::largest(classes, in);
    const auto shift = ei::pset1<Packet<T>>(largest);
    const T label_weight = hard * weight_of(label), target_sum = label_weight + soft * weight_sum;
    T loss = label_weight * (largest - in[label]);
    if (soft > T(0)) {
      const auto below = [&](const Packet<T>& v) { return ei::psub(shift, v); };
      loss += soft * (weights == nullptr ? packets::sum<T>(classes, below, in)
                                         : packets::sum<T>(
                                               classes,
                                               [&](const Packet<T>& v, const Packet<T>& w) {
                                                 return ei::pmul(below(v), w);
                                               },
                                               in, weights));
    }
    const T sum = packets::transform_and_sum(
        classes, out, [&](const Packet<T>& v) { return packets::exp<T>(ei::psub(v, shift)); }, in);
    using std::log;
    losses[row] = (loss + target_sum * log(sum)) * scale;
    const auto factor = ei::pset1<Packet<T>>(target_sum / sum * scale);
    const auto smooth = ei::pset1<Packet<T>>(soft * scale);
    if (weights == nullptr || soft == T(0))
      packets::transform(
          classes, out, [&](const Packet<T>& e) { return ei::psub(ei::pmul(e, factor), smooth); },
          out);
    else
      packets::transform(
          classes, out,
          [&](const Packet<T>& e, const Packet<T>& w) {
            return ei::psub(ei::pmul(e, factor), ei::pmul(w, smooth));
          },
          out, weights);
    out[label] -= label_weight * scale;
  });
  T loss = 0;
  for (Index row = 0; row < n; ++row) loss += losses[row];
  return loss;
}

/// Does the same for the scalar of logits.
template <class X>
typename X::Scalar cross_entropy(const Eigen::MatrixBase<X>& logits, std::span<const int> labels,
                                 const CrossEntropyOptions<typename X::Scalar>& options,
                                 Output<typename X::Scalar> dlogits) {
  return cross_entropy<typename X::Scalar>(logits.derived(), labels, options, dlogits);
}

/// Computes the mean loss and its gradient with PyTorch's defaults: the mean over the batch of
/// -log softmax(logits)[label], and dlogits = (softmax(logits) - onehot(label)) / N.
template <class T>
T cross_entropy(ConstMatrixRef<T> logits, std::span<const int> labels, Output<T> dlogits) {
  return cross_entropy<T>(logits, labels, CrossEntropyOptions<T>{}, dlogits);
}

/// Does the same for the scalar of logits.
template <class X>
typename X::Scalar cross_entropy(const Eigen::MatrixBase<X>& logits, std::span<const int> labels,
                                 Output<typename X::Scalar> dlogits) {
  return cross_entropy<typename X::Scalar>(logits.derived(), labels, dlogits);
}

/// Computes the loss alone, as the overloads with a gradient do.
template <class Derived>
[[nodiscard]] typename Derived::Scalar cross_entropy(
    const Eigen::MatrixBase<Derived>& logits, std::span<const int> labels,
    const CrossEntropyOptions<typename Derived::Scalar>& options = {}) {
  Matrix<typename Derived::Scalar> gradient;
  return cross_entropy(logits.derived(), labels, options, gradient);
}

}  // namespace lora
