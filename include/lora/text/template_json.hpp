#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <vector>

#include "lora/core/printable.hpp"
#include "lora/text/json_fields.hpp"
#include "lora/text/token_template.hpp"

namespace lora::text {

namespace detail {

inline constexpr std::size_t template_limit = 1'000;

// BertProcessing has ["[CLS]", 101].
[[nodiscard]] inline int named_id(const JsonFields& json, const std::string& key) {
  const auto& pair = json.array(key);
  if (pair.size() != 2) json.fail(key + " is not a token and its id");
  return json.number_from(pair[1], "the id of " + key);
}

[[nodiscard]] inline std::vector<TemplatePart> template_parts(const JsonFields& json,
                                                              const std::string& key) {
  using Kind = TemplatePart::Kind;
  std::vector<TemplatePart> parts;
  for (const auto& entry : json.array(key)) {
    const JsonFields part(entry, json.where() + ", " + key);
    if (part.find("Sequence") != nullptr) {
      const JsonFields text = part.object("Sequence");
      const std::string& id = text.string("id");
      if (id != "A" && id != "B") text.fail("id is " + printable(id) + ", expected A or B");
      parts.push_back({id == "A" ? Kind::first_text : Kind::second_text, text.number("type_id")});
      continue;
    }
    const JsonFields token = part.object("SpecialToken");
    const JsonFields known = json.object("special_tokens");
    const JsonFields named = known.object(token.string("id"));
    for (const auto& id : named.array("ids")) {
      // Parts times ids could be any number of them, for every text.
      if (parts.size() == template_limit)
        json.fail(message(key, " has more than ", template_limit, " tokens of its own"));
      parts.push_back({Kind::token, token.number("type_id"), named.number_from(id, "an id")});
    }
  }
  return parts;
}

inline void require_texts(const JsonFields& json, const std::string& key,
                          const std::vector<TemplatePart>& parts, std::ptrdiff_t first,
                          std::ptrdiff_t second) {
  const auto count = [&](TemplatePart::Kind kind) {
    return std::count_if(parts.begin(), parts.end(),
                         [&](const TemplatePart& part) { return part.kind == kind; });
  };
  if (count(TemplatePart::Kind::first_text) != first ||
      count(TemplatePart::Kind::second_text) != second)
    json.fail(key + " does not have each of its texts once");
}

}  // namespace detail

/// Reads the post_processor of a tokenizer.json: TemplateProcessing or BertProcessing. Throws
/// FileError for any other, and for more than a thousand tokens around a text.
[[nodiscard]] inline TokenTemplate read_template(const JsonFields& json) {
  const std::string& type = json.string("type");
  if (type == "BertProcessing")
    return TokenTemplate::bert(detail::named_id(json, "cls"), detail::named_id(json, "sep"));
  if (type != "TemplateProcessing")
    json.fail("type is " + printable(type) +
              ", of which only TemplateProcessing and BertProcessing are known");
  TokenTemplate result{detail::template_parts(json, "single"),
                       detail::template_parts(json, "pair")};
  detail::require_texts(json, "single", result.single, 1, 0);
  detail::require_texts(json, "pair", result.pair, 1, 1);
  return result;
}

}  // namespace lora::text
