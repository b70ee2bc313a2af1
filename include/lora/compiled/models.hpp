#pragma once

// What lora::compiled holds of the page models.hpp, for float over packed weights. See
// compiled/lora.hpp.

#include "lora/compiled/io.hpp"
#include "lora/models/bert/bert_classifier.hpp"
#include "lora/models/bert/bert_model.hpp"

namespace lora::models {

LORA_COMPILED_INSTANCE class AdaptedModel<float, BertModel<float>, BertConfig>;
LORA_COMPILED_INSTANCE class AdaptedModel<float, BertForSequenceClassification<float>, BertConfig>;
LORA_COMPILED_INSTANCE class AdaptedModel<float, BertForTokenClassification<float>, BertConfig>;
LORA_COMPILED_INSTANCE class BertModel<float>;
LORA_COMPILED_INSTANCE class BertClassifier<float, BertTask::sequence_classification>;
LORA_COMPILED_INSTANCE class BertClassifier<float, BertTask::token_classification>;

}  // namespace lora::models
