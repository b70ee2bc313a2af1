#define LORA_COMPILED_INSTANCE template
#include <lora/compiled/lora.hpp>
