#pragma once

#include <algorithm>
#include <filesystem>
#include <lora/generation.hpp>
#include <lora/text.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "families.hpp"
#include "options.hpp"

namespace textgen {

/// What belongs to a language model of any family: its tokenizer, how chats are shown to it, how it
/// is meant to write.
struct Language {
  lora::text::BytePairTokenizer tokenizer;
  std::optional<lora::text::ChatFormat> chat = {};
  std::optional<std::string> system = {};  ///< what a chat begins with where nobody says it
  lora::generation::GenerationConfig settings = {};

  /// Reads it from the model's files. Throws lora::FileError and lora::ConfigError.
  explicit Language(const std::string& path)
      : tokenizer(lora::text::load_byte_pair_tokenizer(path)),
        settings(lora::models::read_generation_settings(path)) {
    if (const auto source = lora::text::read_chat_template(path)) {
      chat = lora::text::chat_format_of(*source);
      if (chat == lora::text::ChatFormat::chatml)
        system = lora::text::default_system_message(*source);
      const int end = lora::text::ChatRenderer(tokenizer, *chat).end_of_turn();
      if (std::find(settings.end_tokens.begin(), settings.end_tokens.end(), end) ==
          settings.end_tokens.end())
        settings.end_tokens.push_back(end);
    }
  }

  /// Renders a conversation, for the model to answer or to learn the answers from.
  [[nodiscard]] lora::text::ChatTokens render(std::vector<lora::text::ChatMessage> messages,
                                              bool prompt) const {
    if (system && (messages.empty() || messages.front().role != "system"))
      messages.insert(messages.begin(), {"system", *system});
    return lora::text::ChatRenderer(tokenizer, chat.value()).render(messages, prompt);
  }

  /// Returns the tokens of a prompt, as a turn of a chat where the model has chats.
  [[nodiscard]] std::vector<int> prompt_tokens(const std::string& prompt, bool plain) const {
    if (chat && !plain) return render({{"user", prompt}}, true).ids;
    return tokenizer.encode(prompt).ids;
  }
};

/// A language model of a family, with what belongs to it.
template <class Family>
struct LanguageModel : Language {
  typename Family::Model model;

  /// Loads both; options.tuning says what trains. Throws lora::FileError and lora::ConfigError.
  LanguageModel(const std::string& path, const typename Family::Options& options)
      : Language(path), model(path, options) {}
};

}  // namespace textgen
