#pragma once

// The names under which 0.1 had what is about PEFT's files. Deprecated: gone in 0.3.

#include "lora/peft/adapter_files.hpp"
#include "lora/peft/adapter_reader.hpp"
#include "lora/peft/adapter_writer.hpp"
#include "lora/peft/peft_config.hpp"
#include "lora/peft/peft_config_file.hpp"

namespace lora::io {

// No declaration that takes over all overloads of a name can be marked [[deprecated]].
using peft::adapter_config_file;
using peft::adapter_weights_file;
using peft::load_adapter;
using peft::read_peft_config;
using peft::save_adapter;

/// The settings of an adapter under their name of 0.1: write peft::PeftConfig.
using PeftConfig [[deprecated("write lora::peft::PeftConfig")]] = peft::PeftConfig;

/// What save_adapter is told, under its name of 0.1: write peft::AdapterSaveOptions.
template <class T>
using AdapterSaveOptions [[deprecated("write lora::peft::AdapterSaveOptions")]] =
    peft::AdapterSaveOptions<T>;

/// What load_adapter is told, under its name of 0.1: write peft::AdapterLoadOptions.
template <class T>
using AdapterLoadOptions [[deprecated("write lora::peft::AdapterLoadOptions")]] =
    peft::AdapterLoadOptions<T>;

}  // namespace lora::io
