#pragma once

#include <lora/metrics/perplexity.hpp>

#include "text_batch.hpp"

namespace textgen {

/// Returns the perplexity of the samples' labels, with the adapter as it is switched.
template <class Model>
[[nodiscard]] double perplexity(const Model& model, const Samples& samples) {
  lora::metrics::Perplexity sum;
  TextBatch texts;
  for (const auto& batch :
       lora::train::batches_by_length(samples.lengths, {.size = 8, .tokens = 1024})) {
    texts.assign(samples, batch);
    const lora::LanguageModelLoss loss = model.loss(texts.tokens(), texts.labels());
    sum.add_sum(loss.sum, static_cast<std::size_t>(loss.tokens));
  }
  return sum.value();
}

/// Returns the same of the base model: with the adapter switched off meanwhile.
template <class Model>
[[nodiscard]] double base_perplexity(Model& model, const Samples& samples) {
  model.set_adapters_enabled(false);
  const double value = perplexity(model, samples);
  model.set_adapters_enabled(true);
  return value;
}

}  // namespace textgen
