#pragma once

#include <string_view>
#include <vector>

#include "lora/core/number_checks.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/optim/parameter_group.hpp"

namespace lora {

/// The settings of with_lora_plus.
struct LoRAPlusOptions {
  double ratio = 16;                      ///< B's learning rate over A's: loraplus_lr_ratio
  double embedding_learning_rate = 1e-6;  ///< of the factors of embeddings: loraplus_lr_embedding
};

/// Returns `config`, of an AdamW or an SGD, with the groups of LoRA+ (Hayou, Ghosh and Yu, "LoRA+",
/// 2024, arXiv 2402.12354; PEFT 0.21's create_loraplus_optimizer). B, and every vector among
/// `parameters` (biases, norms, magnitudes), learn at `options.ratio` times the learning rate, the
/// factors of embeddings at a rate of their own, and the rest, A and a head's weight, at the
/// learning rate. What is called a bias does not decay, nor do the weights of norms; the rest does
/// as the config says (in PEFT by loraplus_weight_decay, 0 by default).
///
///     const AdamWConfig config{.learning_rate = 1e-4};
///     AdamW<float> optimizer(with_lora_plus<float>(config, parameters));
///
/// Throws ConfigError for numbers that are negative or not finite, for a config that has groups
/// already, if no parameter is a B, and for an embedding's factors if the learning rate is 0.
template <class T, class Config>
[[nodiscard]] Config with_lora_plus(Config config, const ParameterList<T>& parameters,
                                    const LoRAPlusOptions& options = {}) {
  constexpr std::string_view where = "with_lora_plus";
  require_non_negative(options.ratio, where, "ratio");
  require_non_negative(options.embedding_learning_rate, where, "embedding_learning_rate");
  require_non_negative(config.learning_rate, where, "learning_rate");
  if (!config.groups.empty())
    throw ConfigError(message(where, ": the config has groups already: add yours afterwards"));
  bool has_b = false;
  for (const Parameter<T>* parameter : parameters) {
    const std::string_view name = parameter->name;
    ParameterGroup group{.name_contains = parameter->name, .whole_name = true};
    if (name.find("lora_embedding_") != std::string_view::npos) {
      if (config.learning_rate == 0)
        throw ConfigError(message(where, ": learning_rate is 0, so that ", name,
                                  " cannot have a rate of its own"));
      group.learning_rate_ratio = options.embedding_learning_rate / config.learning_rate;
    } else if (name.find("lora_B") != std::string_view::npos || parameter->shape().size() == 1) {
      has_b = has_b || name.find("lora_B") != std::string_view::npos;
      group.learning_rate_ratio = options.ratio;
      const bool is_norm =
          name.ends_with(".weight") && name.find("lora_") == std::string_view::npos;
      if (name.find("bias") != std::string_view::npos || is_norm) group.weight_decay = 0;
    } else {
      continue;
    }
    config.groups.push_back(std::move(group));
  }
  if (!has_b)
    throw ConfigError(message(where,
                              ": no parameter has lora_B in its name, expected the "
                              "parameters of adapted layers"));
  return config;
}

}  // namespace lora
