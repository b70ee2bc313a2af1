#pragma once

#include "lora/models/common/config_fields.hpp"

namespace lora::models {

/// Throws FileError, naming it, for a `quantization_config` of another library than bitsandbytes,
/// whose tensors are read: GPTQ's, AWQ's and all others' weights would be missing, or be taken for
/// other numbers. What bitsandbytes' says besides stands with each tensor too, and is read there.
inline void refuse_other_quantisations(const ConfigFields& fields) {
  if (!fields.has("quantization_config")) return;
  const ConfigFields quantisation = fields.object("quantization_config");
  if (quantisation.has("quant_method")) {
    if (!io::is_text(quantisation["quant_method"], "bitsandbytes"))
      quantisation.unexpected("quant_method", "\"bitsandbytes\": no other quantisation is read");
    return;
  }
  // Which older files leave out.
  bool four_bits = false, eight_bits = false;
  quantisation.read_flag("load_in_4bit", four_bits);
  quantisation.read_flag("load_in_8bit", eight_bits);
  if (!four_bits && !eight_bits)
    fields.unexpected("quantization_config", "bitsandbytes': no other quantisation is read");
}

}  // namespace lora::models
