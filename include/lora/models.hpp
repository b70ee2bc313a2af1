#pragma once

// Whole models from files; they need Eigen and nlohmann-json (target lora::io).

#include "lora/models/bert/bert_classifier.hpp"
#include "lora/models/bert/bert_config.hpp"
#include "lora/models/bert/bert_config_parser.hpp"
#include "lora/models/bert/bert_embeddings.hpp"
#include "lora/models/bert/bert_encoder.hpp"
#include "lora/models/bert/bert_layer.hpp"
#include "lora/models/bert/bert_model.hpp"
#include "lora/models/bert/bert_options.hpp"
#include "lora/models/bert/bert_outline.hpp"
#include "lora/models/bert/bert_source.hpp"
#include "lora/models/bert/bert_tape.hpp"
#include "lora/models/common/adapted_model.hpp"
#include "lora/models/common/bottleneck.hpp"
#include "lora/models/common/config_fields.hpp"
#include "lora/models/common/layer_stack.hpp"
#include "lora/models/common/model_builder.hpp"
#include "lora/models/common/model_outline.hpp"
#include "lora/models/common/model_parameters.hpp"
#include "lora/models/common/model_source.hpp"
#include "lora/models/common/module_linear.hpp"
#include "lora/models/common/module_norm.hpp"
#include "lora/models/common/packed_batch.hpp"
#include "lora/models/common/pretrained_weights.hpp"
#include "lora/models/common/query_key_value.hpp"
#include "lora/models/common/token_rows.hpp"
#include "lora/models/common/token_tape.hpp"
#include "lora/models/common/tuning.hpp"
#include "lora/models/common/tuning_plan.hpp"

#ifdef LORA_COMPILED
#include "lora/compiled/models.hpp"
#endif
