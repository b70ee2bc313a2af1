#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <limits>
#include <vector>

#include "lora/generation/generate.hpp"
#include "lora/io/gguf/gguf_reader.hpp"
#include "lora/io/mapped_file.hpp"
#include "lora/models/common/config_fields.hpp"

namespace lora::models {

namespace detail {

/// Reads the end tokens of a JSON file: eos_token_id is one or a list.
[[nodiscard]] inline std::vector<int> end_tokens_of(const ConfigFields& fields) {
  return fields.tokens("eos_token_id", std::numeric_limits<int>::max());
}

/// Refuses ways of generating that would change what is written and are not built.
inline void refuse_other_generation(const ConfigFields& fields) {
  constexpr std::array<std::pair<const char*, double>, 9> neutral{{{"num_beams", 1},
                                                                   {"num_beam_groups", 1},
                                                                   {"penalty_alpha", 0},
                                                                   {"typical_p", 1},
                                                                   {"epsilon_cutoff", 0},
                                                                   {"eta_cutoff", 0},
                                                                   {"no_repeat_ngram_size", 0},
                                                                   {"min_length", 0},
                                                                   {"guidance_scale", 1}}};
  for (const auto& [key, value] : neutral)
    if (fields.has(key) && !(fields[key].is_number() && fields[key].get<double>() == value))
      fields.unexpected(key, message(value, ": another is not built"));
}

[[nodiscard]] inline generation::GenerationConfig generation_of(const ConfigFields& fields) {
  generation::GenerationConfig config;
  config.end_tokens = end_tokens_of(fields);
  refuse_other_generation(fields);
  generation::SamplingConfig& sampling = config.sampling;
  if (fields.has("do_sample")) {
    if (!fields["do_sample"].is_boolean()) fields.unexpected("do_sample", "true or false");
    sampling.do_sample = fields["do_sample"].get<bool>();
  }
  const auto any = [](double) { return true; };
  fields.read_number("temperature", sampling.temperature, any, "above 0");
  fields.read_number("top_p", sampling.top_p, any, "of 0 to 1");
  fields.read_number("min_p", sampling.min_p, any, "of 0 to 1");
  fields.read_number("repetition_penalty", sampling.repetition_penalty, any, "above 0");
  // What transformers takes where the file does not say; null and 0 switch it off.
  if (sampling.do_sample && !fields.is_null("top_k")) sampling.top_k = 50;
  fields.read_size("top_k", sampling.top_k, 0, std::numeric_limits<int>::max());
  // Files of greedy models may have a temperature of 0, which counts for nothing there.
  if (!sampling.do_sample) {
    sampling.temperature = 1;
    sampling.top_k = 0;
    sampling.top_p = 1;
    sampling.min_p = 0;
  }
  try {
    validate(sampling);
  } catch (const ConfigError& error) {
    fields.fail(error.what());
  }
  return config;
}

}  // namespace detail

/// Reads how a language model is meant to write: end tokens, and how tokens are chosen, with the
/// defaults of transformers' GenerationConfig (5.24). A folder in Hugging Face's layout says it in
/// generation_config.json, or else its end tokens in config.json; a GGUF file has end tokens alone
/// (tokenizer.ggml.eos_token_id, eot_token_id, eom_token_id). Throws FileError for values that are
/// out of range or ask for what is not built, as beams.
[[nodiscard]] inline generation::GenerationConfig read_generation_settings(
    const std::filesystem::path& path) {
  if (!io::is_gguf(path)) {
    const auto file = path / "generation_config.json";
    if (io::is_there(file)) return detail::generation_of(read_config_fields(path, file.filename()));
    generation::GenerationConfig config;
    config.end_tokens = detail::end_tokens_of(read_config_fields(path));
    return config;
  }
  const io::GgufReader file(path);
  const io::GgufMetadata& metadata = file.metadata();
  generation::GenerationConfig config;
  for (const char* key : {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id",
                          "tokenizer.ggml.eom_token_id"}) {
    if (!metadata.has(key)) continue;
    const int id = static_cast<int>(metadata.integer(key, 0, std::numeric_limits<int>::max()));
    if (std::find(config.end_tokens.begin(), config.end_tokens.end(), id) ==
        config.end_tokens.end())
      config.end_tokens.push_back(id);
  }
  return config;
}

}  // namespace lora::models
