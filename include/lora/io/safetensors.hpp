#pragma once

// Reading and writing safetensors files.

#include "lora/io/safetensors_reader.hpp"
#include "lora/io/safetensors_writer.hpp"
