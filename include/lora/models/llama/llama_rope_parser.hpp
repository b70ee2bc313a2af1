#pragma once

#include <string>
#include <utility>

#include "lora/models/common/config_fields.hpp"
#include "lora/nn/rotary_frequencies.hpp"

namespace lora::models::detail {

/// Refuses rotary positions of a part of each head's features: Llama's family turns all of them.
/// Throws FileError.
inline void refuse_partial_rotation(const ConfigFields& fields) {
  constexpr const char* key = "partial_rotary_factor";
  if (fields.has(key) && fields[key] != io::Json(1.0))
    fields.unexpected(key, "1: partial rotary positions are not built");
}

/// Reads the rotary positions of a config.json as transformers 5.24 resolves them: rope_scaling
/// replaces rope_parameters as a whole; theta in the object goes before the one at the top, but
/// original_max_position_embeddings at the top before the one in the object; missing in both, it is
/// max_position_embeddings. Throws FileError.
[[nodiscard]] inline RotaryConfig read_rope(const ConfigFields& fields, Index max_positions) {
  RotaryConfig rope;
  const char* const key = fields.has("rope_scaling") ? "rope_scaling" : "rope_parameters";
  const auto positive = [](double value) { return value > 0; };
  fields.read_number("rope_theta", rope.theta, positive, "above 0");
  if (!fields.has(key)) return rope;
  const ConfigFields object = fields.object(key);
  object.read_number("rope_theta", rope.theta, positive, "above 0");
  refuse_partial_rotation(object);

  const char* type = object.has("rope_type") ? "rope_type" : "type";
  if (!object.has(type)) return rope;
  if (!object[type].is_string()) object.unexpected(type, "a text");
  try {
    rope.scaling = rotary_scaling(object[type].get<std::string>());
  } catch (const ConfigError& error) {
    object.fail(error.what());
  }
  if (rope.scaling == RotaryScaling::none) return rope;
  const auto require = [&](const char* name) {
    if (!object.has(name)) object.fail(message("has no \"", name, "\""));
  };
  require("factor");
  object.read_number("factor", rope.factor, positive, "above 0");
  rope.max_positions = max_positions;
  rope.original_positions = max_positions;
  for (const ConfigFields* each : {&object, &fields})
    each->read_size("original_max_position_embeddings", rope.original_positions, 1, 1'000'000'000);
  if (rope.scaling == RotaryScaling::llama3) {
    require("low_freq_factor");
    require("high_freq_factor");
  }
  for (const auto& [name, value] : {std::pair{"low_freq_factor", &rope.low_freq_factor},
                                    {"high_freq_factor", &rope.high_freq_factor},
                                    {"beta_fast", &rope.beta_fast},
                                    {"beta_slow", &rope.beta_slow},
                                    {"mscale", &rope.mscale},
                                    {"mscale_all_dim", &rope.mscale_all_dim}})
    object.read_number(
        name, *value, [](double number) { return number >= 0; }, "of at least 0");
  if (object.has("attention_factor"))
    object.read_number("attention_factor", rope.attention_factor.emplace(), positive, "above 0");
  if (object.has("truncate")) {
    if (!object["truncate"].is_boolean()) object.unexpected("truncate", "true or false");
    rope.truncate = object["truncate"].get<bool>();
  }
  try {
    validate(rope, "rope");
  } catch (const ConfigError& error) {
    object.fail(error.what());
  }
  return rope;
}

}  // namespace lora::models::detail
