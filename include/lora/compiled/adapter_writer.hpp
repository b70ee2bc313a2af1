#pragma once

// What lora::compiled holds of peft/adapter_writer.hpp, for float. See compiled/lora.hpp. It stands
// by itself so that a program that only saves is not charged for what reads.

#include "lora/compiled/lora.hpp"
#include "lora/peft/adapter_writer.hpp"

namespace lora::peft {

LORA_COMPILED_INSTANCE void save_adapter<float>(const std::filesystem::path&,
                                                const std::vector<AdaptedLayerRef<float>>&,
                                                const AdapterSaveOptions<float>&);
LORA_COMPILED_INSTANCE void save_adapter<float>(const std::filesystem::path&,
                                                std::span<const AdaptedLayerView<float>>,
                                                const AdapterSaveOptions<float>&);

}  // namespace lora::peft
