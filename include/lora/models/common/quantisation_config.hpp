#pragma once

#include "lora/models/common/config_fields.hpp"

namespace lora::models {

/// Throws FileError for a `quantization_config` of a library other than bitsandbytes, naming the
/// library: GPTQ's or AWQ's weights would be missing, or be taken for other numbers. bitsandbytes'
/// own settings also stand beside each tensor, and are read there.
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
