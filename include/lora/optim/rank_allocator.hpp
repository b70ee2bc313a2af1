#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/parameter.hpp"
#include "lora/optim/adalora_config.hpp"

namespace lora {

/// How important the elements w of one tensor have been for the loss, as AdaLoRA sees it: moving
/// averages of the sensitivity and of how uncertain that is (equations 8 to 10 of arXiv 2303.10512;
/// PEFT 0.21's RankAllocator),
///
///     p = |w dw|,  P <- beta1 P + (1 - beta1) p,  U <- beta2 U + (1 - beta2) |p - P|
template <class T>
struct Importance {
  Matrix<T> sensitivity;  ///< P, of the tensor's shape; empty before the first update
  Matrix<T> uncertainty;  ///< U

  /// Takes in the value and the gradient of one step.
  void update(const Parameter<T>& parameter, const AdaLoRAConfig& config) {
    const Index rows = parameter.value.rows(), cols = parameter.value.cols();
    if (sensitivity.size() == 0) {
      sensitivity.setZero(rows, cols);
      uncertainty.setZero(rows, cols);
    }
    const auto p = (parameter.value.array() * parameter.grad.array()).abs();
    sensitivity.array() =
        static_cast<T>(config.beta1) * sensitivity.array() + static_cast<T>(1 - config.beta1) * p;
    uncertainty.array() = static_cast<T>(config.beta2) * uncertainty.array() +
                          static_cast<T>(1 - config.beta2) * (p - sensitivity.array()).abs();
  }

  /// Tells whether all averages are finite.
  [[nodiscard]] bool is_finite() const {
    return all_finite<T>(sensitivity) && all_finite<T>(uncertainty);
  }

  /// Returns the elements' scores, P U.
  [[nodiscard]] auto score() const { return sensitivity.cwiseProduct(uncertainty); }
};

/// Returns the scores (rank, 1) of a layer's triplets, A (rank, in), E (rank, 1), B (out, rank):
/// that of E_i, and the means of those of A's row i and of B's column i.
template <class T>
[[nodiscard]] Matrix<T> triplet_scores(const Importance<T>& a, const Importance<T>& e,
                                       const Importance<T>& b) {
  const auto in = static_cast<T>(a.sensitivity.cols()), out = static_cast<T>(b.sensitivity.rows());
  return e.score() + a.score().rowwise().sum() / in + b.score().colwise().sum().transpose() / out;
}

/// Returns how many ranks `layers` layers may have together after step `step`, counted from 1: all
/// until tinit, target_r a layer from total_step - tfinal on, and between the two
///
///     b = bT + (b0 - bT) (1 - (step - tinit) / (total_step - tfinal - tinit))^3,  rounded down
[[nodiscard]] inline Index rank_budget(const AdaLoRAConfig& config, Index layers,
                                       std::uint64_t step) {
  const Index all = config.init_r * layers, target = config.target_r * layers;
  if (step <= config.tinit) return all;
  if (step >= config.total_step - config.tfinal) return target;
  const double share =
      1 - static_cast<double>(step - config.tinit) /
              static_cast<double>(config.total_step - config.tfinal - config.tinit);
  return static_cast<Index>(static_cast<double>(all - target) * std::pow(share, 3.0) +
                            static_cast<double>(target));
}

/// Tells whether ranks are taken away after step `step`: every delta_t steps after tinit, and at
/// total_step - tfinal. After that the ones that are gone stay away.
[[nodiscard]] inline bool takes_ranks(const AdaLoRAConfig& config, std::uint64_t step) {
  const std::uint64_t last = config.total_step - config.tfinal;
  return step == last || (step > config.tinit && step < last && step % config.delta_t == 0);
}

/// Returns which triplets of each layer stay, given their scores and the budget: those whose score
/// is above that of the most important one that has to go, so of equal ones none, as in PEFT.
/// Throws StateError for a score that is not finite: NaN has no place in an order.
template <class T>
[[nodiscard]] std::vector<std::vector<bool>> most_important(const std::vector<Matrix<T>>& scores,
                                                            Index budget) {
  std::vector<T> all;
  for (const Matrix<T>& each : scores) {
    if (!all_finite<T>(each))
      throw StateError(message("most_important: the scores of layer ", &each - scores.data(),
                               " are not finite"));
    all.insert(all.end(), each.data(), each.data() + each.size());
  }
  const Index excess = static_cast<Index>(all.size()) - budget;
  std::vector<std::vector<bool>> kept;
  for (const Matrix<T>& each : scores)
    kept.emplace_back(static_cast<std::size_t>(each.size()), true);
  if (excess <= 0) return kept;
  const auto threshold =
      all.begin() + (std::min<Index>(excess, static_cast<Index>(all.size())) - 1);
  std::nth_element(all.begin(), threshold, all.end());
  for (std::size_t i = 0; i < kept.size(); ++i)
    for (std::size_t r = 0; r < kept[i].size(); ++r) kept[i][r] = scores[i].data()[r] > *threshold;
  return kept;
}

}  // namespace lora
