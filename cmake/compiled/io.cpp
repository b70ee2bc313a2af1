#include <lora/compiled/lora.hpp>
#undef LORA_COMPILED_INSTANCE
#define LORA_COMPILED_INSTANCE template
#include <lora/compiled/io.hpp>
