#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "lora/core/error.hpp"

namespace lora::metrics {

/// The share of labels that were predicted: correct / total, over any number of batches.
class Accuracy {
 public:
  /// Begins at nothing. A label that is `ignore_index` is not counted, as in cross_entropy.
  explicit Accuracy(std::optional<int> ignore_index = -100) : ignore_index_(ignore_index) {}

  /// Adds a batch: see predicted_classes. Throws ShapeError, and counts nothing, if there are not
  /// as many predictions as labels.
  void add(std::span<const int> labels, std::span<const int> predicted) {
    if (labels.size() != predicted.size())
      throw ShapeError(message("Accuracy::add: ", predicted.size(), " predictions, expected ",
                               labels.size(), ", one for each label"));
    for (std::size_t i = 0; i < labels.size(); ++i) {
      if (labels[i] == ignore_index_) continue;
      ++total_;
      if (labels[i] == predicted[i]) ++correct_;
    }
  }

  /// Returns how many labels were predicted.
  [[nodiscard]] std::size_t correct() const { return correct_; }

  /// Returns how many were counted.
  [[nodiscard]] std::size_t total() const { return total_; }

  /// Returns correct / total; 0 if nothing was counted.
  [[nodiscard]] double value() const {
    return total_ == 0 ? 0 : static_cast<double>(correct_) / static_cast<double>(total_);
  }

 private:
  std::optional<int> ignore_index_;
  std::size_t correct_ = 0;
  std::size_t total_ = 0;
};

}  // namespace lora::metrics
