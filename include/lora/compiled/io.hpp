#pragma once

// What lora::compiled holds of the page io.hpp, for float. See compiled/lora.hpp.

#include "lora/compiled/adapter_writer.hpp"
#include "lora/compiled/lora.hpp"
#include "lora/io/checkpoint.hpp"
#include "lora/peft/adapter.hpp"

namespace lora::io {

LORA_COMPILED_INSTANCE void save_checkpoint<float>(const std::filesystem::path&,
                                                   const Checkpoint<float>&);
LORA_COMPILED_INSTANCE Checkpoint<float> load_checkpoint<float>(const std::filesystem::path&);

}  // namespace lora::io

namespace lora::peft {

LORA_COMPILED_INSTANCE PeftConfig load_adapter<float>(const std::filesystem::path&,
                                                      const std::vector<AdaptedLayerRef<float>>&,
                                                      const AdapterLoadOptions<float>&);

}  // namespace lora::peft
