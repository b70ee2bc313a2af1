#pragma once

#include <lora/layers/weight_start.hpp>
#include <lora/optim/lora_fa.hpp>
#include <lora/optim/lora_plus.hpp>
#include <lora/train/trainer.hpp>
#include <utility>
#include <vector>

#include "../bert/classifier.hpp"
#include "../bert/model.hpp"
#include "method.hpp"
#include "stored.hpp"

namespace sentiment {

/// Leaves A of this layer as it is: training goes by B alone.
inline void freeze_a(const lora::AdaptedLayerRef<float>& layer) {
  lora::LoRAConfig config = layer.config();
  config.freeze_a = true;
  std::vector<lora::Matrix<float>> values;
  for (const auto& tensor : layer.tensors(config)) values.push_back(tensor.parameter->value);
  layer.replace_adapter(config, std::move(values));
}

/// Prepares a model that was just loaded for a method: the start of its adapters, and what of them
/// trains.
inline void begin(Model& model, const Method& method) {
  if (method.family != Family::lora) return;
  for (const auto& layer : model.adapted_layers()) {
    if (method.start == lora::LoRAInit::pissa) lora::start_pissa(layer);
    if (method.start == lora::LoRAInit::olora) lora::start_olora(layer);
    if (method.steps == Steps::lora_fa) freeze_a(layer);
  }
}

/// Trains by the method's optimizer at one learning rate.
template <class Learner>
[[nodiscard]] lora::train::History train(Learner& learner, const Method& method,
                                         double learning_rate, const bert::Options& options,
                                         const lora::train::Observer& observer) {
  const auto by = [&](auto optimizer) {
    return lora::train::Trainer(learner, std::move(optimizer), bert::trainer_options(options))
        .run(observer);
  };
  lora::AdamWConfig config = bert::optimizer(options, learning_rate).config();
  switch (method.steps) {
    case Steps::lora_plus:
      config = lora::with_lora_plus<float>(std::move(config), learner.parameters());
      break;
    case Steps::lora_fa:
      config.epsilon = 1e-6;  // as PEFT's has it
      return by(lora::LoRAFA<float>(std::move(config), learner.model().adapted_layers()));
    case Steps::adamw:
      break;
  }
  return by(lora::AdamW<float>(std::move(config)));
}

}  // namespace sentiment
