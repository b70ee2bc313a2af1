#pragma once

// Whole models from files; they need Eigen and nlohmann-json (target lora::io).

#include "lora/models/bert_classifier.hpp"
#include "lora/models/bert_config.hpp"
#include "lora/models/bert_config_parser.hpp"
#include "lora/models/bert_model.hpp"
#include "lora/models/bert_options.hpp"
#include "lora/models/bert_tape.hpp"
#include "lora/models/packed_batch.hpp"
#include "lora/models/tuning.hpp"
