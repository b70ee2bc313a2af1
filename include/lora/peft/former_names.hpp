#pragma once

// The names under which 0.1 had what is about PEFT's files, gone in 0.3. They are not marked as
// [[deprecated]]: a program that uses both namespaces would be warned of names that it writes
// right.

#include "lora/peft/adapter_files.hpp"
#include "lora/peft/adapter_reader.hpp"
#include "lora/peft/adapter_writer.hpp"
#include "lora/peft/peft_config.hpp"
#include "lora/peft/peft_config_file.hpp"

namespace lora::io {

using peft::adapter_config_file;
using peft::adapter_weights_file;
using peft::AdapterLoadOptions;
using peft::AdapterSaveOptions;
using peft::load_adapter;
using peft::PeftConfig;
using peft::read_peft_config;
using peft::save_adapter;

}  // namespace lora::io
