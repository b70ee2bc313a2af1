#pragma once

#include <lora/peft/peft_config.hpp>
#include <string>
#include <vector>

#include "../bert/model.hpp"
#include "../bert/options.hpp"
#include "method.hpp"
#include "variant_options.hpp"

namespace sentiment {

/// Returns one variant with as many trained parameters as LoRA has at the rank of the options; DoRA
/// has its magnitudes beside them. LoRA-FA trains B alone, at twice the rank: as many where the
/// layers are square. All but rsLoRA have LoRA's scaling.
[[nodiscard]] inline Method variant_method(Variant variant, const bert::Options& options) {
  lora::peft::PeftConfig config = bert::peft_config(options, "SEQ_CLS");
  Method method{.family = Family::lora};
  switch (variant) {
    case Variant::lora:
      method.name = "LoRA";
      break;
    case Variant::rslora:
      method.name = "rsLoRA";
      config.use_rslora = true;
      break;
    case Variant::dora:
      method.name = "DoRA";
      config.use_dora = true;
      break;
    case Variant::pissa:
      method.name = "PiSSA";
      method.start = lora::LoRAInit::pissa;
      break;
    case Variant::olora:
      method.name = "OLoRA";
      method.start = lora::LoRAInit::olora;
      break;
    case Variant::lora_plus:
      method.name = "LoRA+";
      method.steps = Steps::lora_plus;
      break;
    case Variant::lora_fa:
      method.name = "LoRA-FA";
      method.steps = Steps::lora_fa;
      config.r *= 2;
      config.lora_alpha *= 2;
      break;
  }
  for (const auto& [name, known] : variant_names())
    if (known == variant) method.folder = name;
  method.tuning = std::move(config);
  return method;
}

/// Lists the variants that are wanted.
[[nodiscard]] inline std::vector<Method> variants(const bert::Options& options,
                                                  const VariantOptions& wanted) {
  std::vector<Method> all;
  for (const Variant variant : wanted.variants) {
    all.push_back(variant_method(variant, options));
    all.back().learning_rates = wanted.learning_rates.at(variant);
  }
  return all;
}

}  // namespace sentiment
