#pragma once

// Saving, loading and reading adapters as PEFT's directories.

#include "lora/peft/adapter_reader.hpp"
#include "lora/peft/adapter_values.hpp"
#include "lora/peft/adapter_writer.hpp"
