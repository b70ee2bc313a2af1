#pragma once

// Saving and loading adapters as PEFT's directories.

#include "lora/io/adapter_reader.hpp"
#include "lora/io/adapter_writer.hpp"
