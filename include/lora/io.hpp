#pragma once

// Everything that reads and writes files; it needs Eigen and nlohmann-json (target lora::io).

#include "lora/io/atomic_file.hpp"
#include "lora/io/checkpoint.hpp"
#include "lora/io/convert.hpp"
#include "lora/io/dtype.hpp"
#include "lora/io/git_lfs.hpp"
#include "lora/io/json.hpp"
#include "lora/io/json_builder.hpp"
#include "lora/io/json_value.hpp"
#include "lora/io/mapped_file.hpp"
#include "lora/io/model_reader.hpp"
#include "lora/io/safetensors/safetensors.hpp"
#include "lora/io/safetensors/safetensors_header.hpp"
#include "lora/io/safetensors/safetensors_reader.hpp"
#include "lora/io/safetensors/safetensors_writer.hpp"
#include "lora/io/tensor_view.hpp"

#include "lora/peft/adapter.hpp"
#include "lora/peft/adapter_description.hpp"
#include "lora/peft/adapter_files.hpp"
#include "lora/peft/adapter_reader.hpp"
#include "lora/peft/adapter_writer.hpp"
#include "lora/peft/character_set.hpp"
#include "lora/peft/default_targets.hpp"
#include "lora/peft/module_rules.hpp"
#include "lora/peft/module_selection.hpp"
#include "lora/peft/name_pattern.hpp"
#include "lora/peft/name_pattern_parser.hpp"
#include "lora/peft/pattern_list.hpp"
#include "lora/peft/pattern_map.hpp"
#include "lora/peft/pattern_matcher.hpp"
#include "lora/peft/pattern_program.hpp"
#include "lora/peft/peft_config.hpp"
#include "lora/peft/peft_config_parser.hpp"
#include "lora/peft/peft_config_text.hpp"
#include "lora/peft/unicode_ranges.hpp"

#ifdef LORA_COMPILED
#include "lora/compiled/io.hpp"
#endif
