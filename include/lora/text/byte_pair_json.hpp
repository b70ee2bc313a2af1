#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/printable.hpp"
#include "lora/io/json.hpp"
#include "lora/text/byte_pair_tokenizer.hpp"
#include "lora/text/file_text.hpp"
#include "lora/text/json_fields.hpp"
#include "lora/text/special_tokens.hpp"
#include "lora/text/template_json.hpp"
#include "lora/text/tokenizer_limit.hpp"
#include "lora/text/vocabulary_json.hpp"

namespace lora::text {

namespace detail {

/// A reader of the parts of a tokenizer.json of BPE.
class BytePairJsonReader {
 public:
  explicit BytePairJsonReader(const JsonFields& root) : root_(root) {}

  [[nodiscard]] BytePairTokenizer read() const {
    if (root_.object("model").boolean("byte_fallback").value_or(false)) return read_marked();
    const bool composes = read_normalizer();
    const SplitPattern pattern = read_pattern(root_.object("pre_tokenizer"));
    if (root_.find("decoder") != nullptr) require_type(root_.object("decoder"), "ByteLevel");
    BytePair model = read_model(root_.object("model"));
    std::vector<AddedToken> added = read_added_tokens(root_);
    add_special_tokens(model, {}, root_.where(), added);
    return {std::move(model), pattern, composes, added, read_templates()};
  }

 private:
  static void require_absent(const JsonFields& json, const char* key) {
    const auto* value = json.find(key);
    if (value != nullptr && !(value->is_string() && value->get_ref<const std::string&>().empty()))
      json.fail(std::string(key) + " is " + io::excerpt(*value) + ", expected null");
  }

  static void require(const JsonFields& json, const char* key, bool expected) {
    if (json.boolean(key).value_or(!expected) != expected)
      json.fail(std::string(key) + (expected ? " is not true" : " is not false"));
  }

  // Llama 2's kind: characters, marked spaces, bytes where the vocabulary lacks a character.
  [[nodiscard]] BytePairTokenizer read_marked() const {
    const Spaces spaces{read_mark(), read_marked_decoder()};
    BytePair model = read_model(root_.object("model"));
    std::vector<AddedToken> added = read_added_tokens(root_);
    add_special_tokens(model, {}, root_.where(), added);
    return {std::move(model), SplitPattern::gpt2, false, added, read_templates(), spaces};
  }

  static void require_text(const JsonFields& json, const char* key, const std::string& expected) {
    if (json.string(key) != expected)
      json.fail(std::string(key) + " is \"" + printable(json.string(key)) + "\", expected \"" +
                expected + "\"");
  }

  static constexpr const char* mark = "\xE2\x96\x81";

  [[nodiscard]] SpaceMark read_mark() const {
    const bool normalizes = root_.find("normalizer") != nullptr;
    if (root_.find("pre_tokenizer") == nullptr) {
      const JsonFields json = root_.object("normalizer");
      require_type(json, "Sequence");
      const auto& parts = json.array("normalizers");
      const std::string where = json.where() + ", normalizers";
      if (parts.size() != 2) json.fail("normalizers is not a Prepend and a Replace");
      const JsonFields prepend(parts[0], where), replace(parts[1], where);
      require_type(prepend, "Prepend");
      require_text(prepend, "prepend", mark);
      require_type(replace, "Replace");
      require_text(replace.object("pattern"), "String", " ");
      require_text(replace, "content", mark);
      return SpaceMark::prepended;
    }
    if (normalizes) root_.fail("has a normalizer and a pre_tokenizer, expected one of them");
    const JsonFields json = root_.object("pre_tokenizer");
    require_type(json, "Metaspace");
    require_text(json, "replacement", mark);
    require(json, "split", false);
    const std::string scheme = json.string("prepend_scheme");
    if (scheme == "always") return SpaceMark::metaspace_always;
    if (scheme == "first") return SpaceMark::metaspace_first;
    if (scheme == "never") return SpaceMark::metaspace_never;
    json.fail("prepend_scheme is " + printable(scheme) + ", expected always, first or never");
  }

  // Tells whether a space at the beginning is left out.
  [[nodiscard]] bool read_marked_decoder() const {
    const JsonFields json = root_.object("decoder");
    require_type(json, "Sequence");
    const auto& parts = json.array("decoders");
    const std::string where = json.where() + ", decoders";
    if (parts.size() != 3 && parts.size() != 4)
      json.fail("decoders is not a Replace, a ByteFallback, a Fuse and perhaps a Strip");
    const JsonFields replace(parts[0], where), bytes(parts[1], where), fuse(parts[2], where);
    require_type(replace, "Replace");
    require_text(replace.object("pattern"), "String", mark);
    require_text(replace, "content", " ");
    require_type(bytes, "ByteFallback");
    require_type(fuse, "Fuse");
    if (parts.size() == 3) return false;
    const JsonFields strip(parts[3], where);
    require_type(strip, "Strip");
    require_text(strip, "content", " ");
    if (strip.at("start") != 1 || strip.at("stop") != 0)
      strip.fail("does not strip one space at the beginning");
    return true;
  }

  [[nodiscard]] bool read_normalizer() const {
    if (root_.find("normalizer") == nullptr) return false;
    require_type(root_.object("normalizer"), "NFC");
    return true;
  }

  // ByteLevel with its own pattern, Digits before that, or a Split by another and ByteLevel
  // without.
  [[nodiscard]] static SplitPattern read_pattern(const JsonFields& json) {
    if (json.string("type") == "ByteLevel") {
      require(json, "add_prefix_space", false);
      if (json.boolean("use_regex").value_or(true)) return SplitPattern::gpt2;
      json.fail("use_regex is false, and there is no Split before it");
    }
    require_type(json, "Sequence");
    const auto& parts = json.array("pretokenizers");
    if (parts.size() != 2) json.fail("pretokenizers is not a Split or Digits, and a ByteLevel");
    const std::string where = json.where() + ", pretokenizers";
    const JsonFields split(parts[0], where), bytes(parts[1], where);
    require_type(bytes, "ByteLevel");
    require(bytes, "add_prefix_space", false);
    if (split.string("type") == "Digits") {
      require(split, "individual_digits", true);
      if (!bytes.boolean("use_regex").value_or(true)) bytes.fail("use_regex is false");
      return SplitPattern::smollm;
    }
    require_type(split, "Split");
    require(bytes, "use_regex", false);
    require(split, "invert", false);
    if (split.string("behavior") != "Isolated")
      split.fail("behavior is " + printable(split.string("behavior")) + ", expected Isolated");
    const std::string pattern = split.object("pattern").string("Regex");
    const std::string before = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})";
    const std::string behind = R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
    if (pattern == before + "{1,3}" + behind) return SplitPattern::llama3;
    if (pattern == before + behind) return SplitPattern::qwen2;
    split.fail("the pattern \"" + printable(pattern, 200) +
               "\" is not known, expected that of Llama 3 or Qwen2");
  }

  [[nodiscard]] static BytePair read_model(const JsonFields& json) {
    require_type(json, "BPE");
    for (const char* key : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"})
      require_absent(json, key);
    const bool fallback = json.boolean("byte_fallback").value_or(false);
    std::optional<std::string> unknown;
    if (fallback && json.find("unk_token") != nullptr) unknown = json.string("unk_token");
    std::vector<std::pair<std::string, std::string>> merges;
    for (const auto& merge : json.array("merges")) merges.push_back(read_merge(json, merge));
    return {read_vocabulary(json.object("vocab")),
            merges,
            {.ignore_merges = json.boolean("ignore_merges").value_or(false),
             .byte_fallback = fallback,
             .unk_token = unknown,
             .fuse_unk = json.boolean("fuse_unk").value_or(false)}};
  }

  // "a b" in older files, ["a", "b"] in newer ones.
  [[nodiscard]] static std::pair<std::string, std::string> read_merge(const JsonFields& json,
                                                                      const io::Json& merge) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
      return {merge[0].get<std::string>(), merge[1].get<std::string>()};
    if (merge.is_string()) {
      const auto& text = merge.get_ref<const std::string&>();
      const std::size_t space = text.find(' ');
      if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos)
        return {text.substr(0, space), text.substr(space + 1)};
    }
    json.fail("the merge " + io::excerpt(merge) + " is not two tokens");
  }

  // ByteLevel only trims offsets, which are left as they are.
  [[nodiscard]] TokenTemplate read_templates() const {
    if (root_.find("post_processor") == nullptr) return TokenTemplate::plain();
    const JsonFields json = root_.object("post_processor");
    if (json.string("type") == "ByteLevel") return TokenTemplate::plain();
    if (json.string("type") != "Sequence") return read_template(json);
    const auto& parts = json.array("processors");
    const std::string where = json.where() + ", processors";
    if (parts.size() != 2) json.fail("processors is not a ByteLevel and a TemplateProcessing");
    require_type(JsonFields(parts[0], where), "ByteLevel");
    return read_template(JsonFields(parts[1], where));
  }

  const JsonFields& root_;
};

}  // namespace detail

/// Makes a tokenizer from the text of a Hugging Face tokenizer.json. Of byte-level BPE: no
/// normalizer or NFC; ByteLevel with GPT-2's pattern, or a Split by that of Llama 3 or Qwen2 and
/// ByteLevel; BPE; ByteLevel, TemplateProcessing or both. Of Llama 2's kind, BPE with
/// byte_fallback: Prepend and Replace, or Metaspace; TemplateProcessing; Replace, ByteFallback,
/// Fuse and Strip. Anything else is refused by name. Padding and truncation are the caller's.
/// Throws FileError, beginning with `where`.
[[nodiscard]] inline BytePairTokenizer parse_byte_pair_json(std::string_view text,
                                                            const std::string& where) {
  require_tokenizer_size(text, where);
  const auto json = io::parse_json(text, where);
  const JsonFields root(json, where);
  try {
    return detail::BytePairJsonReader(root).read();
  } catch (const ConfigError& error) {
    throw FileError(where + ": " + error.what());
  }
}

/// Reads a tokenizer.json of BPE; see parse_byte_pair_json.
[[nodiscard]] inline BytePairTokenizer read_byte_pair_json(const std::filesystem::path& path) {
  const io::MappedFile file(path);
  return parse_byte_pair_json(text_of(file), path.string());
}

}  // namespace lora::text
