#pragma once

#include <cstdint>
#include <optional>

#include "lora/core/matrix.hpp"
#include "lora/models/common/tuning.hpp"

namespace lora::models {

/// The features that a sentence's classifier looks at.
enum class BertPooling {
  pooler,  ///< tanh of a dense layer of the first token, as BertForSequenceClassification
  mean,    ///< the mean of the tokens, as sentence-transformers' models (MiniLM) are trained for
};

/// The settings of a model that is loaded from files.
struct BertOptions {
  Tuning tuning = HeadOnly{};                     ///< what trains
  std::optional<Index> labels = {};               ///< classes; the file's if left out
  BertPooling pooling = BertPooling::pooler;      ///< of sequence classification
  std::uint64_t seed = 0;                         ///< of start values and dropout
  bool recompute_activations = false;             ///< gradient checkpointing, layer by layer
  std::optional<double> hidden_dropout = {};      ///< in [0, 1); the file's if left out
  std::optional<double> attention_dropout = {};   ///< likewise
  std::optional<double> classifier_dropout = {};  ///< likewise
};

}  // namespace lora::models
