#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/finite.hpp"
#include "lora/core/printable.hpp"
#include "lora/io/gguf/gguf_metadata.hpp"
#include "lora/text/byte_pair_tokenizer.hpp"
#include "lora/text/scored_merges.hpp"

namespace lora::text {

namespace detail {

/// What the word that a GGUF has for its way of cutting texts stands for.
struct GgufPattern {
  std::string_view pre;
  SplitPattern pattern;
  bool composes;       ///< NFC first, as Hugging Face's tokenizer of the model does
  bool ignore_merges;  ///< a piece that is a token is taken whole
  bool begins;         ///< with the token of the beginning, where no key says otherwise
};

inline constexpr std::array<GgufPattern, 4> gguf_patterns{
    {{"gpt-2", SplitPattern::gpt2, false, false, false},
     {"smollm", SplitPattern::smollm, false, false, false},
     {"qwen2", SplitPattern::qwen2, true, false, false},
     {"llama-bpe", SplitPattern::llama3, false, true, true}}};

/// The merges of a vocabulary, and their ranks where the order does not say them.
struct GgufMerges {
  std::vector<std::pair<std::string, std::string>> merges;
  std::vector<std::size_t> ranks;
};

inline GgufMerges scored_merges(const std::vector<std::pair<std::string, int>>& vocabulary,
                                const std::vector<double>& scores) {
  ScoredMerges found(vocabulary, scores);
  return {std::move(found.merges), std::move(found.ranks)};
}

inline GgufMerges listed_merges(const io::GgufMetadata& metadata) {
  GgufMerges found;
  for (const std::string_view merge : metadata.texts("tokenizer.ggml.merges")) {
    const std::size_t space = merge.find(' ');
    if (space == std::string_view::npos || merge.find(' ', space + 1) != std::string_view::npos)
      metadata.fail("the merge " + in_quotes(merge) + " is not two tokens");
    found.merges.emplace_back(merge.substr(0, space), merge.substr(space + 1));
  }
  return found;
}

}  // namespace detail

/// Makes a tokenizer of BPE from the metadata of a GGUF file: tokenizer.ggml.model "gpt2", cut as
/// tokenizer.ggml.pre says: "gpt-2", "smollm", "qwen2" or "llama-bpe"; or "llama", Llama 2's with
/// scores, spaces marked and a byte for what the vocabulary lacks. Tokens of type control are
/// special; those that users defined are sought in every text. Throws FileError for what is
/// missing, contradicts itself, or is another kind of tokenizer.
[[nodiscard]] inline BytePairTokenizer byte_pair_of_gguf(const io::GgufMetadata& metadata) {
  const std::string_view model = metadata.text("tokenizer.ggml.model");
  const bool scored = model == "llama";
  if (model != "gpt2" && !scored)
    metadata.fail("tokenizer.ggml.model is " + in_quotes(model) +
                  ", expected \"gpt2\" (byte-level BPE) or \"llama\": others are not built");
  constexpr detail::GgufPattern of_llama{"", SplitPattern::gpt2, false, false, true};
  const detail::GgufPattern* how = scored ? &of_llama : nullptr;
  if (!scored) {
    const std::string_view pre = metadata.text("tokenizer.ggml.pre");
    for (const auto& each : detail::gguf_patterns)
      if (each.pre == pre) how = &each;
    if (how == nullptr)
      metadata.fail("tokenizer.ggml.pre is " + in_quotes(pre) +
                    ", expected gpt-2, smollm, qwen2 or llama-bpe");
  }
  const auto& tokens = metadata.texts("tokenizer.ggml.tokens");
  if (tokens.size() > 100'000'000) metadata.fail("has too many tokens");
  std::vector<double> types(tokens.size(), 1);
  if (metadata.has("tokenizer.ggml.token_type"))
    types = metadata.numbers("tokenizer.ggml.token_type");
  if (types.size() != tokens.size())
    metadata.fail(message("has ", types.size(), " types of tokens, expected one for each of ",
                          tokens.size(), " tokens"));
  constexpr double unknown = 2, control = 3, user_defined = 4;
  std::vector<double> token_scores, scores;
  if (scored) {
    token_scores = metadata.numbers("tokenizer.ggml.scores");
    if (token_scores.size() != tokens.size())
      metadata.fail(message("has ", token_scores.size(), " scores, expected one for each of ",
                            tokens.size(), " tokens"));
    for (const double score : token_scores)
      if (!is_finite(score)) metadata.fail("has a score that is no finite number");
  }
  BytePairConfig config{.ignore_merges = how->ignore_merges, .byte_fallback = scored};
  std::vector<std::pair<std::string, int>> vocabulary;
  std::vector<AddedToken> added;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    std::string token(tokens[i]);
    const int id = static_cast<int>(i);
    if (types[i] == control || types[i] == user_defined)
      added.push_back({.content = std::move(token), .id = id, .special = types[i] == control});
    else {
      if (scored && types[i] == unknown) config.unk_token = token;
      vocabulary.emplace_back(std::move(token), id);
      if (scored) scores.push_back(token_scores[i]);
    }
  }
  TokenTemplate templates = TokenTemplate::plain();
  const auto token_id = [&](const char* key) {
    return static_cast<int>(metadata.integer(key, 0, static_cast<std::int64_t>(tokens.size()) - 1));
  };
  using Kind = TemplatePart::Kind;
  if (metadata.flag("tokenizer.ggml.add_bos_token", how->begins)) {
    const TemplatePart bos{Kind::token, 0, token_id("tokenizer.ggml.bos_token_id")};
    templates.single.insert(templates.single.begin(), bos);
    templates.pair.insert(templates.pair.begin(), bos);
  }
  if (metadata.flag("tokenizer.ggml.add_eos_token", false)) {
    const TemplatePart eos{Kind::token, 0, token_id("tokenizer.ggml.eos_token_id")};
    templates.single.push_back(eos);
    templates.pair.push_back(eos);
  }
  try {
    Spaces spaces;
    if (scored && metadata.flag("tokenizer.ggml.add_space_prefix", true))
      spaces = {SpaceMark::prepended, true};
    else if (scored)
      spaces = {SpaceMark::metaspace_never, false};
    const detail::GgufMerges merges =
        scored ? detail::scored_merges(vocabulary, scores) : detail::listed_merges(metadata);
    return {BytePair(vocabulary, merges.merges, config, merges.ranks),
            how->pattern,
            how->composes,
            added,
            std::move(templates),
            spaces};
  } catch (const ConfigError& error) {
    metadata.fail(error.what());
  }
}

}  // namespace lora::text
