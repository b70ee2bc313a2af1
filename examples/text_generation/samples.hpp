#pragma once

#include <algorithm>
#include <lora/data/prompt_completion.hpp>
#include <lora/random/shuffle.hpp>
#include <lora/train/fingerprint.hpp>
#include <string>
#include <utility>
#include <vector>

#include "language_model.hpp"

namespace textgen {

/// Texts to learn from, or to be measured on: tokens, and labels where they are learnt.
struct Samples {
  std::vector<lora::text::ChatTokens> texts;
  std::vector<Index> lengths;

  void push_back(lora::text::ChatTokens text) {
    lengths.push_back(static_cast<Index>(text.ids.size()));
    texts.push_back(std::move(text));
  }

  [[nodiscard]] Index size() const { return static_cast<Index>(texts.size()); }

  /// Returns the number of tokens.
  [[nodiscard]] Index tokens() const {
    Index sum = 0;
    for (const Index length : lengths) sum += length;
    return sum;
  }

  [[nodiscard]] std::string fingerprint() const {
    lora::train::Fingerprint all;
    for (const auto& text : texts) all.add(text.ids).add(text.labels);
    return all.text();
  }
};

/// Returns a text that learns `pair.completion`, and its end; what is longer than max_length is cut
/// off.
[[nodiscard]] inline lora::text::ChatTokens sample_of(const lora::data::PromptCompletion& pair,
                                                      const Language& language, bool plain,
                                                      Index max_length) {
  lora::text::ChatTokens text;
  if (language.chat && !plain) {
    text = language.render({{"user", pair.prompt}, {"assistant", pair.completion}}, false);
  } else {
    text.ids = language.tokenizer.encode(pair.prompt).ids;
    text.labels.assign(text.ids.size(), lora::ignored_label);
    auto completion = language.tokenizer.encode(pair.completion, {.add_special_tokens = false}).ids;
    if (!language.settings.end_tokens.empty())
      completion.push_back(language.settings.end_tokens.front());
    text.ids.insert(text.ids.end(), completion.begin(), completion.end());
    text.labels.insert(text.labels.end(), completion.begin(), completion.end());
  }
  const auto most = static_cast<std::size_t>(max_length);
  if (text.ids.size() > most) {
    text.ids.resize(most);
    text.labels.resize(most);
  }
  return text;
}

/// Tells whether there is anything to learn: a label that is not the first token's.
[[nodiscard]] inline bool has_labels(const lora::text::ChatTokens& text) {
  return std::any_of(text.labels.begin() + (text.labels.empty() ? 0 : 1), text.labels.end(),
                     [](int label) { return label != lora::ignored_label; });
}

/// Returns the pairs as texts; those whose prompt alone is too long are left out.
[[nodiscard]] inline Samples samples_of(const std::vector<lora::data::PromptCompletion>& pairs,
                                        const Language& language, bool plain, Index max_length) {
  Samples samples;
  for (const auto& pair : pairs) {
    auto text = sample_of(pair, language, plain, max_length);
    if (has_labels(text)) samples.push_back(std::move(text));
  }
  return samples;
}

/// Cuts a text into pieces of max_length tokens, all of which are learnt.
[[nodiscard]] inline Samples samples_of(std::string_view text, const Language& language,
                                        Index max_length) {
  Samples samples;
  const std::vector<int> ids = language.tokenizer.encode(text, {.add_special_tokens = false}).ids;
  for (auto at = ids.begin(); at != ids.end();) {
    const auto stop = at + std::min<std::ptrdiff_t>(max_length, ids.end() - at);
    lora::text::ChatTokens piece{{at, stop}, {at, stop}};
    if (has_labels(piece)) samples.push_back(std::move(piece));
    at = stop;
  }
  return samples;
}

/// Reads a file: of JSON lines (.jsonl) prompts and completions, else any text. Throws
/// lora::FileError, also where nothing is left to learn.
[[nodiscard]] inline Samples read_samples(const std::filesystem::path& path,
                                          const Language& language, bool plain, Index max_length) {
  Samples samples;
  if (path.extension() == ".jsonl") {
    samples = samples_of(lora::data::read_prompt_completions(path), language, plain, max_length);
  } else {
    const lora::io::MappedFile file(path);
    samples = samples_of(lora::text::text_of(file), language, max_length);
  }
  if (samples.size() == 0) throw lora::FileError(path.string() + ": has nothing to learn from");
  return samples;
}

/// Texts to learn from and texts that are held out.
struct Parts {
  Samples train, held_out;
};

/// Holds out that share of the texts, at least one, by a shuffle that is the same for every seed.
/// Throws lora::FileError where there are fewer than two.
[[nodiscard]] inline Parts split(Samples all, double percent) {
  if (all.size() < 2)
    throw lora::FileError(
        "the data: one text is too few, expected one to train on and one to "
        "hold out (a smaller --max-length cuts a file into more)");
  const auto wanted = static_cast<Index>(static_cast<double>(all.size()) * percent / 100);
  const Index count = std::clamp<Index>(wanted, 1, all.size() - 1);
  Parts parts;
  Index at = 0;
  for (const Index from : lora::shuffled(all.size(), 0, 0))
    (at++ < count ? parts.held_out : parts.train)
        .push_back(std::move(all.texts[static_cast<std::size_t>(from)]));
  return parts;
}

}  // namespace textgen
