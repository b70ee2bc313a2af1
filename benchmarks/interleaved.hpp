#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "seconds.hpp"

namespace lora::bench {

/// Returns the middle value of `values`, or the mean of the two in the middle; 0 for none.
[[nodiscard]] inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

/// Times two pieces of work alternately, so that whatever else the machine does in the meantime
/// falls on both alike, and compares their medians, which a few disturbed calls do not move.
class Interleaved {
 public:
  /// Runs `reference` and then `work`, once each; returns the seconds that `work` took.
  template <class Reference, class Work>
  double measure(const Reference& reference, const Work& work) {
    reference_.push_back(seconds(reference));
    work_.push_back(seconds(work));
    return work_.back();
  }

  /// Returns how often both were timed.
  [[nodiscard]] std::size_t count() const { return work_.size(); }

  /// Returns the median seconds of the work.
  [[nodiscard]] double work() const { return median(work_); }

  /// Returns the median seconds of the reference.
  [[nodiscard]] double reference() const { return median(reference_); }

 private:
  std::vector<double> reference_;
  std::vector<double> work_;
};

}  // namespace lora::bench
