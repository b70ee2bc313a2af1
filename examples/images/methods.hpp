#pragma once

#include <cstddef>
#include <lora/models/common/tuning.hpp>
#include <lora/models/resnet/resnet_config.hpp>
#include <lora/models/resnet/resnet_names.hpp>
#include <string>
#include <utility>
#include <vector>

#include "options.hpp"

namespace images_example {

/// Names the ways of adapting that are compared, in the order of `family_words`.
enum class Family { head, norms, lora, full };

/// Returns what the drawing calls them.
[[nodiscard]] inline std::vector<std::string> family_words() {
  return {"head alone", "batch norms", "LoRA (rank)", "full fine-tuning"};
}

/// One way of adapting a ResNet; each trains a new head too.
struct Method {
  Family family;
  std::string name;    ///< for the table
  std::string folder;  ///< that its result is saved in
  lora::models::Tuning tuning;
  double learning_rate;
};

/// Returns the settings of LoRA at this rank, on all convolutions.
[[nodiscard]] inline lora::peft::PeftConfig lora_config(const Options& options, Index rank,
                                                        const lora::models::ResNetNames& names) {
  lora::peft::PeftConfig config;
  config.r = rank;
  config.lora_alpha = options.alpha.value_or(2 * static_cast<double>(rank));
  config.lora_dropout = options.dropout;
  config.target_modules = names.convolutions();
  config.modules_to_save = {names.head_module()};
  return config;
}

/// Lists the methods for a model of this config.
[[nodiscard]] inline std::vector<Method> methods(const Options& options,
                                                 const lora::models::ResNetConfig& config) {
  const lora::models::ResNetNames names(config.naming);
  std::vector<Method> all{
      {Family::head, "head alone", "head", lora::models::HeadOnly{}, options.head_learning_rate},
      {Family::norms, "batch norms", "norms",
       lora::models::ModulesOnly{names.norms(config.layer_type)}, options.norm_learning_rate}};
  for (const Index rank : options.ranks)
    all.push_back({Family::lora, "LoRA, rank " + std::to_string(rank),
                   "lora-r" + std::to_string(rank), lora_config(options, rank, names),
                   options.learning_rate});
  all.push_back({Family::full, "full fine-tuning", "full", lora::models::FullTuning{},
                 options.full_learning_rate});
  return all;
}

}  // namespace images_example
