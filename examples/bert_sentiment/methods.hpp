#pragma once

#include <lora/models.hpp>
#include <string>
#include <vector>

#include "../bert/model.hpp"
#include "../bert/options.hpp"
#include "method_options.hpp"

namespace sentiment {

/// Returns the settings of LoRA at this rank: alpha is twice the rank, so that the update is scaled
/// alike at each.
[[nodiscard]] inline lora::peft::PeftConfig lora_of_rank(bert::Options options, Index rank) {
  options.rank = rank;
  options.alpha.reset();
  return bert::peft_config(options, "SEQ_CLS");
}

/// Lists the methods of the families that are wanted.
[[nodiscard]] inline std::vector<Method> methods(const bert::Options& options,
                                                 const MethodOptions& wanted) {
  std::vector<Method> all;
  const auto add = [&](Family family, const std::string& name, const std::string& folder,
                       lora::models::Tuning tuning) {
    if (wanted.wants(family))
      all.push_back({.family = family,
                     .name = name,
                     .folder = folder,
                     .tuning = std::move(tuning),
                     .learning_rates = wanted.learning_rates.at(family)});
  };
  add(Family::head, "head alone", "head", lora::models::HeadOnly{});
  for (const Index rank : wanted.ranks) {
    const std::string number = std::to_string(rank);
    add(Family::lora, "LoRA, rank " + number, "lora-r" + number, lora_of_rank(options, rank));
  }
  for (const Index width : wanted.bottlenecks) {
    const std::string number = std::to_string(width);
    add(Family::bottleneck, "bottleneck, width " + number, "bottleneck-" + number,
        lora::models::BottleneckAdapters{width});
  }
  for (const Index count : wanted.layers) {
    const std::string number = std::to_string(count);
    add(Family::last_layers, "last layers, " + number, "last-" + number,
        lora::models::LastLayers{count});
  }
  add(Family::full, "full fine-tuning", "full", lora::models::FullTuning{});
  return all;
}

}  // namespace sentiment
