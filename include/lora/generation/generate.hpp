#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <utility>
#include <vector>

#include "lora/generation/causal_model.hpp"
#include "lora/generation/sampling.hpp"

namespace lora::generation {

/// Settings of generate.
struct GenerationConfig {
  Index max_new_tokens = 128;         ///< of each text, at least 1
  std::vector<int> end_tokens = {};   ///< any of them ends its text, and is its last token
  SamplingConfig sampling = {};       ///< how tokens are chosen
  Index prompt_tokens_at_once = 256;  ///< of the prompts, through the model: bounds its memory
  /// Is told of each new token and its text; the text ends when it returns false. Optional.
  std::function<bool(std::size_t text, int token)> is_told = {};
};

/// Returns what the model writes after each prompt, tokens without the prompt's: until a text has
/// an end token, max_new_tokens, no more positions, or is_told returns false. Texts of any lengths
/// go through the model together; what one gets depends neither on the others nor on the number of
/// threads, as far as the model's arithmetic does not. All memory is taken once, at the beginning.
///
/// Throws ConfigError for settings out of range, ShapeError for an empty prompt, one that leaves no
/// position for an answer, and tokens that the vocabulary does not have, before anything is
/// computed.
template <CausalModel Model>
[[nodiscard]] std::vector<std::vector<int>> generate(const Model& model,
                                                     std::span<const std::vector<int>> prompts,
                                                     const GenerationConfig& config = {}) {
  using T = typename Model::Scalar;
  constexpr const char* where = "generate";
  if (config.max_new_tokens < 1 || config.prompt_tokens_at_once < 1)
    throw ConfigError(message(where, ": max_new_tokens is ", config.max_new_tokens,
                              ", prompt_tokens_at_once ", config.prompt_tokens_at_once,
                              ", expected at least 1"));
  const Sampler sampler(config.sampling);
  const auto is_token = [&](int id) { return id >= 0 && id < model.vocab_size(); };
  for (const int id : config.end_tokens)
    if (!is_token(id))
      throw ShapeError(
          message(where, ": the end token ", id, " is none of the model's ", model.vocab_size()));
  std::size_t longest = 0;
  for (std::size_t b = 0; b < prompts.size(); ++b) {
    const std::vector<int>& prompt = prompts[b];
    if (prompt.empty()) throw ShapeError(message(where, ": prompt ", b, " is empty"));
    if (static_cast<Index>(prompt.size()) >= model.max_positions())
      throw ShapeError(message(where, ": prompt ", b, " has ", prompt.size(),
                               " tokens, expected fewer than the model's ", model.max_positions(),
                               " positions"));
    for (std::size_t i = 0; i < prompt.size(); ++i)
      if (!is_token(prompt[i]))
        throw ShapeError(message(where, ": token ", i, " of prompt ", b, " is ", prompt[i],
                                 ", expected one in [0, ", model.vocab_size(), ")"));
    longest = std::max(longest, prompt.size());
  }
  std::vector<std::vector<int>> answers(prompts.size());
  if (prompts.empty()) return answers;

  const Index capacity =
      std::min(model.max_positions(), static_cast<Index>(longest) + config.max_new_tokens);
  KVCache<T> cache = model.make_cache(static_cast<Index>(prompts.size()), capacity);
  if constexpr (requires { model.expect_prompt(Index{0}, prompts[0], cache); })
    for (std::size_t b = 0; b < prompts.size(); ++b)
      model.expect_prompt(static_cast<Index>(b), prompts[b], cache);
  std::vector<std::vector<int>> texts(prompts.begin(), prompts.end());
  for (std::vector<int>& text : texts) text.reserve(static_cast<std::size_t>(capacity));
  std::vector<bool> done(prompts.size(), false);
  std::vector<int> ids, counts(prompts.size());
  std::vector<Candidate> candidates;
  Matrix<T> logits;
  while (std::find(done.begin(), done.end(), false) != done.end()) {
    // What of each text the model has not seen: a part of the prompt, or the newest token.
    ids.clear();
    Index room = config.prompt_tokens_at_once;
    for (std::size_t b = 0; b < texts.size(); ++b) {
      const Index held = cache.length(static_cast<Index>(b));
      const Index fresh = done[b] ? 0 : static_cast<Index>(texts[b].size()) - held;
      const Index count = fresh > 1 ? std::min(fresh, room) : fresh;
      counts[b] = static_cast<int>(count);
      room -= fresh > 1 ? count : 0;
      ids.insert(ids.end(), texts[b].begin() + held, texts[b].begin() + held + count);
    }
    model.next_logits(ids, counts, cache, logits);
    Index row = 0;
    for (std::size_t b = 0; b < texts.size(); ++b) {
      if (counts[b] == 0) continue;
      const std::span<const T> of_text(logits.data() + row++ * logits.cols(),
                                       static_cast<std::size_t>(logits.cols()));
      if (cache.length(static_cast<Index>(b)) < static_cast<Index>(texts[b].size())) continue;
      const int token =
          sampler.template next<T>(of_text, texts[b], b, answers[b].size(), candidates);
      answers[b].push_back(token);
      texts[b].push_back(token);
      const bool ends = std::find(config.end_tokens.begin(), config.end_tokens.end(), token) !=
                        config.end_tokens.end();
      const bool stopped = config.is_told && !config.is_told(b, token);
      done[b] = ends || stopped || static_cast<Index>(answers[b].size()) >= config.max_new_tokens ||
                static_cast<Index>(texts[b].size()) > model.max_positions();
    }
  }
  return answers;
}

/// Returns what the model writes after one prompt; see the other.
template <CausalModel Model>
[[nodiscard]] std::vector<int> generate(const Model& model, const std::vector<int>& prompt,
                                        const GenerationConfig& config = {}) {
  return std::move(generate(model, std::span(&prompt, 1), config).front());
}

}  // namespace lora::generation
