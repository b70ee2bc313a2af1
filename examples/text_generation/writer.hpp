#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "language_model.hpp"

namespace textgen {

/// Returns the model's settings, with what the options say instead.
[[nodiscard]] inline lora::generation::GenerationConfig generation_config(
    const WriteOptions& options, const Language& language) {
  lora::generation::GenerationConfig config = language.settings;
  config.max_new_tokens = options.max_new_tokens;
  lora::generation::SamplingConfig& sampling = config.sampling;
  if (options.temperature || options.top_k || options.top_p || options.min_p)
    sampling.do_sample = true;
  sampling.temperature = options.temperature.value_or(sampling.temperature);
  sampling.top_k = options.top_k.value_or(sampling.top_k);
  sampling.top_p = options.top_p.value_or(sampling.top_p);
  sampling.min_p = options.min_p.value_or(sampling.min_p);
  sampling.repetition_penalty = options.repetition_penalty.value_or(sampling.repetition_penalty);
  sampling.seed = options.seed;
  if (options.greedy) sampling.do_sample = false;
  return config;
}

/// Has the model go on from a prompt's tokens, and tells `show` of the text as it comes, whole
/// characters at a time, up to the first of options.stop. Returns the tokens.
template <class Family>
std::vector<int> write(const LanguageModel<Family>& language, const std::vector<int>& prompt,
                       const WriteOptions& options,
                       const std::function<void(std::string_view)>& show) {
  lora::text::StreamDecoder decoder(language.tokenizer);
  lora::generation::StopStrings stops(options.stop);
  auto config = generation_config(options, language);
  config.is_told = [&](std::size_t, int token) {
    show(stops.push(decoder.push(token)));
    return !stops.stopped();
  };
  auto tokens = lora::generation::generate(language.model, prompt, config);
  show(stops.push(decoder.finish()));
  show(stops.finish());
  return tokens;
}

/// Returns what the model answers to each prompt, as tokens; the prompts go through it together.
template <class Family>
[[nodiscard]] std::vector<std::vector<int>> answers(const LanguageModel<Family>& language,
                                                    const WriteOptions& options) {
  std::vector<std::vector<int>> prompts;
  for (const std::string& prompt : options.prompts)
    prompts.push_back(language.prompt_tokens(prompt, options.plain));
  return lora::generation::generate(language.model, prompts, generation_config(options, language));
}

}  // namespace textgen
