#pragma once

#include <cmath>
#include <cstddef>
#include <span>

#include "lora/core/matrix.hpp"

namespace lora::distributed {

/// What some shards of a batch came to: the mean of their losses, and over how many it is.
struct ShardSum {
  double mean = 0;   ///< of the losses; 0 where none counts
  double count = 0;  ///< losses, or their total weight
  Index tokens = 0;  ///< that were read
};

/// Returns what two neighbours in a batch come to together:
/// mean = (n_l m_l + n_r m_r) / (n_l + n_r). A shard in which nothing counts leaves the other's
/// mean as it is, bit for bit.
[[nodiscard]] inline ShardSum merged(const ShardSum& left, const ShardSum& right) {
  const double count = left.count + right.count;
  const double weight_l = count > 0 ? left.count / count : 0;
  const double weight_r = count > 0 ? right.count / count : 0;
  // The fused product is written out: a compiler that fuses one of the two as it likes would make
  // the result depend on where this is inlined.
  return {std::fma(left.mean, weight_l, right.mean * weight_r), count, left.tokens + right.tokens};
}

/// Turns `gradient`, a part of the gradient of the mean over `own`, into that of the mean over both
/// `own` and `other`: (n g + n' g') / (n + n'), g' being `other_gradient`, of as many elements,
/// which is working memory afterwards. Which of the two is the left one does not matter to a bit,
/// nor how the elements are cut into parts.
template <class T>
void merge_gradient(std::span<T> gradient, const ShardSum& own, std::span<T> other_gradient,
                    const ShardSum& other) {
  using Vector = Eigen::Map<Eigen::Array<T, Eigen::Dynamic, 1>>;
  const double count = own.count + other.count;
  if (!(count > 0)) return;  // both are zero
  Vector g(gradient.data(), static_cast<Index>(gradient.size()));
  Vector h(other_gradient.data(), static_cast<Index>(other_gradient.size()));
  // Three passes: in one a compiler may fuse a product with the sum for some elements and not for
  // others, those at the ends of the part.
  if (own.count != count) g *= static_cast<T>(own.count / count);
  if (other.count != count) h *= static_cast<T>(other.count / count);
  g += h;
}

}  // namespace lora::distributed
