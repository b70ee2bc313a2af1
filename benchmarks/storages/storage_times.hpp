#pragma once

#include <algorithm>
#include <chrono>
#include <lora/core/matrix.hpp>
#include <vector>

#include "../interleaved.hpp"
#include "../layer_under_test.hpp"
#include "cache_sweep.hpp"
#include "storage_under_test.hpp"

namespace lora::bench {

/// Holds the seconds of each turn of one product.
struct TurnTimes {
  std::vector<double> seconds;

  [[nodiscard]] double fastest() const { return *std::min_element(seconds.begin(), seconds.end()); }
  [[nodiscard]] double middle() const { return median(seconds); }
};

/// Holds what one storage took at one number of tokens.
struct StorageTimes {
  TurnTimes forward;   ///< y = x W^T
  TurnTimes backward;  ///< dx = dy W
};

/// Times every storage at one number of tokens, in turns, so that whatever else the machine does
/// falls on all alike. With a `sweep` it runs before each product, which then finds W in memory;
/// without, each product is run twice and the second one counts, which finds in the caches what
/// fits there.
[[nodiscard]] inline std::vector<StorageTimes> time_storages(
    const std::vector<StorageUnderTest>& storages, Index tokens, Index out, Index in, int turns,
    CacheSweep* sweep) {
  using Clock = std::chrono::steady_clock;
  const Matrix<float> x = filled(tokens, in, 1), dy = filled(tokens, out, 1);
  Matrix<float> y(tokens, out), dx(tokens, in);
  const auto timed = [&](const StorageUnderTest::Product& product, const Matrix<float>& left,
                         Matrix<float>& result) {
    if (sweep != nullptr)
      sweep->run();
    else
      product(left, result);
    const Clock::time_point start = Clock::now();
    result.setZero();
    product(left, result);
    return std::chrono::duration<double>(Clock::now() - start).count();
  };
  std::vector<StorageTimes> times(storages.size());
  // The first turn, in which memory is taken, does not count.
  for (int turn = -1; turn < turns; ++turn)
    for (std::size_t s = 0; s < storages.size(); ++s) {
      const double forward = timed(storages[s].add_product, x, y);
      const double backward = timed(storages[s].add_transposed_product, dy, dx);
      if (turn < 0) continue;
      times[s].forward.seconds.push_back(forward);
      times[s].backward.seconds.push_back(backward);
    }
  return times;
}

}  // namespace lora::bench
