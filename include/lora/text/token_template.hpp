#pragma once

#include <cstddef>
#include <vector>

namespace lora::text {

/// A part of what a model takes: a token of its own, or one of the texts.
struct TemplatePart {
  enum class Kind { token, first_text, second_text };
  Kind kind = Kind::token;
  int type_id = 0;
  int id = 0;  ///< of the token

  friend bool operator==(const TemplatePart&, const TemplatePart&) = default;
};

/// The order in which a model takes its own tokens and one text, or two.
struct TokenTemplate {
  std::vector<TemplatePart> single;
  std::vector<TemplatePart> pair;

  friend bool operator==(const TokenTemplate&, const TokenTemplate&) = default;

  /// Returns BERT's: [CLS] A [SEP], and [CLS] A [SEP] B [SEP] with type 1 from B on.
  [[nodiscard]] static TokenTemplate bert(int cls_id, int sep_id) {
    using Kind = TemplatePart::Kind;
    const TemplatePart cls{Kind::token, 0, cls_id}, sep{Kind::token, 0, sep_id};
    const TemplatePart first{Kind::first_text, 0}, second{Kind::second_text, 1};
    return {{cls, first, sep}, {cls, first, sep, second, {Kind::token, 1, sep_id}}};
  }

  /// Returns the template that adds nothing.
  [[nodiscard]] static TokenTemplate plain() {
    using Kind = TemplatePart::Kind;
    return {{{Kind::first_text, 0}}, {{Kind::first_text, 0}, {Kind::second_text, 1}}};
  }

  /// Counts the model's own tokens in a template.
  [[nodiscard]] static std::size_t own_tokens(const std::vector<TemplatePart>& parts) {
    std::size_t count = 0;
    for (const TemplatePart& part : parts) count += part.kind == TemplatePart::Kind::token ? 1 : 0;
    return count;
  }
};

}  // namespace lora::text
