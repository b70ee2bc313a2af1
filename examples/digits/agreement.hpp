#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <limits>

#include "base.hpp"
#include "data.hpp"
#include "network.hpp"
#include "store.hpp"
#include "train.hpp"

namespace digits {

/// How far one network's answers agree over the ways in which an adapter can be used.
struct Agreement {
  bool loaded_is_saved = true;   ///< loaded from the files: the same logits, bit for bit
  bool off_is_base = true;       ///< switched off: the base's logits on the old task, likewise
  bool unmerged_is_base = true;  ///< merged, unmerged, switched off: likewise
  double merged_difference = 0;  ///< merged: largest difference of a logit, over the largest logit
  int merged_answers_changed = 0;  ///< merged: answers on the new task's test images that differ
  int images = 0;                  ///< of those there were so many

  /// Joins two: what holds for both.
  void add(const Agreement& other) {
    loaded_is_saved = loaded_is_saved && other.loaded_is_saved;
    off_is_base = off_is_base && other.off_is_base;
    unmerged_is_base = unmerged_is_base && other.unmerged_is_base;
    merged_difference = std::max(merged_difference, other.merged_difference);
    merged_answers_changed += other.merged_answers_changed;
    images += other.images;
  }

  /// Tells whether all is as it must be. Merging changes the order of float's sums, of `width`
  /// products each, and nothing else.
  [[nodiscard]] bool holds(Index width) const {
    const double rounding = 4 * std::numeric_limits<float>::epsilon() * static_cast<double>(width);
    return loaded_is_saved && off_is_base && unmerged_is_base && merged_difference <= rounding;
  }
};

/// Switches the adapters of a network on or off.
template <class T, class Weight>
void switch_adapters(LoRANetwork<T, Weight>& network, bool on) {
  for (auto* layer : {&network.fc1, &network.fc2})
    if (on)
      layer->enable_adapter();
    else
      layer->disable_adapter();
}

/// Tells whether two matrices are the same, number by number.
[[nodiscard]] inline bool same(const lora::Matrix<float>& a, const lora::Matrix<float>& b) {
  return a.rows() == b.rows() && a.cols() == b.cols() && (a.array() == b.array()).all();
}

/// Compares `trained`, which was saved in `folder`, with what is loaded from there into a copy of
/// the base, then merged, then unmerged; and both, switched off, with the base on the old task.
[[nodiscard]] inline Agreement compare(const Base<float>& base,
                                       LoRANetwork<float, lora::MappedWeight<float>>& trained,
                                       const std::filesystem::path& folder,
                                       const lora::Matrix<float>& old_images,
                                       const lora::Matrix<float>& new_images) {
  Agreement found;
  const lora::Matrix<float> expected = trained.logits(new_images);
  const lora::Matrix<float> base_logits = head_network(base, base.head).logits(old_images);
  switch_adapters(trained, false);
  found.off_is_base = same(trained.logits(old_images, base.head), base_logits);
  switch_adapters(trained, true);

  // Another rank and other start values: all that matters comes from the files.
  auto loaded =
      mergeable_lora_network(base, new_head(base, trained.head.out_features(), 0), {.rank = 3}, 0);
  load(folder, loaded);
  found.loaded_is_saved = same(loaded.logits(new_images), expected);

  loaded.fc1.merge();
  loaded.fc2.merge();
  const lora::Matrix<float> merged = loaded.logits(new_images);
  found.merged_difference = static_cast<double>((merged - expected).cwiseAbs().maxCoeff() /
                                                expected.cwiseAbs().maxCoeff());
  const std::vector<int> one = lora::metrics::predicted_classes(expected);
  const std::vector<int> other = lora::metrics::predicted_classes(merged);
  found.images = static_cast<int>(one.size());
  for (std::size_t i = 0; i < one.size(); ++i)
    found.merged_answers_changed += one[i] == other[i] ? 0 : 1;

  loaded.fc1.unmerge();
  loaded.fc2.unmerge();
  switch_adapters(loaded, false);
  found.unmerged_is_base = same(loaded.logits(old_images, base.head), base_logits);
  return found;
}

}  // namespace digits
