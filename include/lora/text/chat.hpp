#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/printable.hpp"
#include "lora/text/byte_pair_tokenizer.hpp"

namespace lora::text {

/// What somebody says in a chat.
struct ChatMessage {
  std::string role;  ///< "system", "user", "assistant"
  std::string content;
};

/// The ways in which models are shown who says what.
enum class ChatFormat {
  chatml,  ///< <|im_start|>role\ncontent<|im_end|>\n: Qwen, SmolLM2
  llama3,  ///< <|start_header_id|>role<|end_header_id|>\n\ncontent<|eot_id|>
};

/// Recognises the format of a chat_template. Throws ConfigError for another one: templates are
/// programs in Jinja, which are not run.
[[nodiscard]] inline ChatFormat chat_format_of(std::string_view chat_template) {
  if (chat_template.find("<|im_start|>") != std::string_view::npos) return ChatFormat::chatml;
  if (chat_template.find("<|start_header_id|>") != std::string_view::npos)
    return ChatFormat::llama3;
  throw ConfigError(
      "the chat_template is neither ChatML nor Llama 3's, and templates are not run: " +
      in_quotes(chat_template));
}

/// Returns the system message that a ChatML template puts first where a chat has none, as SmolLM2's
/// does; nothing where it puts none.
[[nodiscard]] inline std::optional<std::string> default_system_message(
    std::string_view chat_template) {
  constexpr std::string_view begin = "<|im_start|>system", end = "<|im_end|>";
  const std::size_t at = chat_template.find(begin);
  if (at == std::string_view::npos) return std::nullopt;
  std::string_view rest = chat_template.substr(at + begin.size());
  // A line's end is written out in the template's text.
  for (const std::string_view line_end : {std::string_view("\\n"), std::string_view("\n")})
    if (rest.starts_with(line_end)) rest.remove_prefix(line_end.size());
  const std::size_t stop = rest.find(end);
  if (stop == std::string_view::npos || stop == 0) return std::nullopt;
  const std::string_view text = rest.substr(0, stop);
  if (text.find_first_of("{}'+") != std::string_view::npos) return std::nullopt;
  return std::string(text);
}

/// A chat as tokens, and what a model learns from it: labels are the tokens of what the assistant
/// says, its end included, and -100 elsewhere.
struct ChatTokens {
  std::vector<int> ids;
  std::vector<int> labels;
};

/// Renders chats as tokens, as transformers' apply_chat_template does for these formats. What
/// somebody says stays text, also where it spells the model's own tokens. Views the tokenizer,
/// which must outlive it. Calls are const and may run in parallel.
class ChatRenderer {
 public:
  /// Throws ConfigError if the tokenizer lacks a token of the format.
  ChatRenderer(const BytePairTokenizer& tokenizer, ChatFormat format)
      : tokenizer_(&tokenizer), format_(format) {
    if (format == ChatFormat::chatml) {
      begin_ = require("<|im_start|>");
      end_ = require("<|im_end|>");
    } else {
      text_begin_ = require("<|begin_of_text|>");
      begin_ = require("<|start_header_id|>");
      header_end_ = require("<|end_header_id|>");
      end_ = require("<|eot_id|>");
    }
  }

  /// Returns the token that ends what somebody says.
  [[nodiscard]] int end_of_turn() const { return end_; }

  /// Renders the messages; with `prompt` the beginning of an answer follows, for the model to go
  /// on. Throws ConfigError for a role that is empty or has other characters than letters.
  [[nodiscard]] ChatTokens render(std::span<const ChatMessage> messages, bool prompt) const {
    ChatTokens out;
    if (format_ == ChatFormat::llama3) push(out, text_begin_, false);
    for (const ChatMessage& message : messages) {
      header(out, message.role);
      const bool learns = message.role == "assistant";
      if (format_ == ChatFormat::chatml) {
        // Header and content are cut as one text.
        text(out, message.role + "\n", message.content, learns);
        push(out, end_, learns);
        text(out, "\n", "", false);
      } else {
        text(out, "\n\n", trimmed(message.content), learns);
        push(out, end_, learns);
      }
    }
    if (prompt) {
      header(out, "assistant");
      text(out, format_ == ChatFormat::chatml ? "assistant\n" : "\n\n", "", false);
    }
    return out;
  }

 private:
  [[nodiscard]] int require(const std::string& token) const {
    const auto id = tokenizer_->id_of(token);
    if (!id) throw ConfigError("ChatRenderer: the tokenizer has no token " + in_quotes(token));
    return *id;
  }

  static void push(ChatTokens& out, int id, bool learns) {
    out.ids.push_back(id);
    out.labels.push_back(learns ? id : -100);
  }

  void header(ChatTokens& out, const std::string& role) const {
    for (const char c : role)
      if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z'))
        throw ConfigError("ChatRenderer: the role is " + in_quotes(role) + ", expected a word");
    if (role.empty()) throw ConfigError("ChatRenderer: a role is empty");
    push(out, begin_, false);
    if (format_ == ChatFormat::chatml) return;
    text(out, role, "", false);
    push(out, header_end_, false);
  }

  // A token counts as learnt where any of it belongs to the content.
  void text(ChatTokens& out, const std::string& before, const std::string& content,
            bool learns) const {
    const Encoding encoding = tokenizer_->encode(before + content, {.add_special_tokens = false});
    for (std::size_t i = 0; i < encoding.ids.size(); ++i)
      push(out, encoding.ids[i], learns && encoding.offsets[i].end > before.size());
  }

  static std::string trimmed(const std::string& text) {
    constexpr const char* spaces = " \t\n\v\f\r";
    const std::size_t first = text.find_first_not_of(spaces);
    if (first == std::string::npos) return {};
    return text.substr(first, text.find_last_not_of(spaces) - first + 1);
  }

  const BytePairTokenizer* tokenizer_;
  ChatFormat format_;
  int begin_ = 0, end_ = 0, header_end_ = 0, text_begin_ = 0;
};

}  // namespace lora::text
