#pragma once

// Reading and writing safetensors files.

#include "lora/io/safetensors/safetensors_reader.hpp"
#include "lora/io/safetensors/safetensors_writer.hpp"
