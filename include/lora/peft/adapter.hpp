#pragma once

// Saving and loading adapters as PEFT's directories.

#include "lora/peft/adapter_reader.hpp"
#include "lora/peft/adapter_writer.hpp"
