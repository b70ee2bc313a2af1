#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/finite.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/train/batches.hpp"

namespace lora::train {

/// What the forward of a batch gave.
struct BatchLoss {
  double loss = 0;  ///< the mean of its losses, as cross_entropy and mean_squared_error return it
  /// How many they are: the labels that count, or their total weight. Needed where a batch goes
  /// through the model in parts, whose means are not the mean of the whole.
  std::optional<double> count = {};
  Index tokens = 0;  ///< that were read, padding left out; for the report of speed
};

/// Cuts a batch into parts of at most `size` examples, in its order; 0 leaves it whole. Throws
/// ConfigError for a size below 0.
[[nodiscard]] inline std::vector<Batch> parts_of(const Batch& batch, Index size) {
  if (size < 0)
    throw ConfigError(message("parts_of: size is ", size, ", expected 0 (whole) or more"));
  if (size == 0) return {batch};
  std::vector<Batch> parts;
  for (auto at = batch.begin(); at != batch.end();) {
    const auto stop = at + std::min<std::ptrdiff_t>(size, batch.end() - at);
    parts.emplace_back(at, stop);
    at = stop;
  }
  return parts;
}

/// The gradients of a batch that goes through the model in parts, because it is too large at once:
///
///     Accumulation accumulation(parameters);
///     for (const Batch& part : parts_of(batch, 8)) {
///       accumulation.add(forward(part));   // its mean loss, and over how many
///       backward(part);                    // adds the gradients of that mean
///     }
///     const double loss = accumulation.finish();
///
/// After finish() the gradients are those of the mean over the whole batch, sum_i n_i g_i / N, also
/// where the parts count unequal numbers n_i (tokens with a label): the mean of the parts' means
/// would be another number. A batch in one part keeps its bits. Views the parameters.
template <class T>
class Accumulation {
 public:
  /// Begins with the gradients at zero.
  explicit Accumulation(const ParameterList<T>& parameters) : parameters_(parameters) {
    zero_grad(parameters_);
  }

  /// Prepares the gradients for the backward of a part whose forward gave `part`; call it between
  /// the two. Throws StateError for a loss or a count that is not finite, a count below 0, and for
  /// one of several parts that has no count.
  void add(const BatchLoss& part) {
    if (!is_finite(part.loss))
      throw StateError(message("the loss is ", part.loss, ", expected a finite number"));
    if (uncounted_ || (begun_ && !part.count))
      throw StateError(
          "the loss of a part has no count, expected how many losses its mean is over");
    const double count = part.count.value_or(1);
    if (!is_finite(count) || count < 0)
      throw StateError(
          message("a loss is over a count of ", count, ", expected a finite number of at least 0"));
    begun_ = true;
    uncounted_ = !part.count;
    if (count == 0) return;  // adds zeros
    // The gradients so far stand in units of one over the count of the last part.
    if (last_ > 0) scale(last_ / count);
    last_ = count;
    count_ += count;
    sum_ += part.loss * count;
    only_loss_ = part.loss;
    ++parts_;
  }

  /// Turns the gradients into those of the mean over all parts, and returns that mean: 0 where
  /// nothing counted.
  double finish() {
    if (parts_ <= 1) return only_loss_;
    scale(last_ / count_);
    return sum_ / count_;
  }

  /// Returns how many losses all parts together had; 1 for a single part that did not say.
  [[nodiscard]] double count() const { return count_; }

 private:
  void scale(double factor) {
    if (factor == 1) return;
    for (Parameter<T>* parameter : parameters_) parameter->grad *= static_cast<T>(factor);
  }

  ParameterList<T> parameters_;
  double last_ = 0;
  double count_ = 0;
  double sum_ = 0;
  double only_loss_ = 0;
  int parts_ = 0;  // that counted
  bool begun_ = false;
  bool uncounted_ = false;
};

template <class T>
Accumulation(const ParameterList<T>&) -> Accumulation<T>;

}  // namespace lora::train
