// Reads any bytes as a tokenizer's file and a text for it, or as labelled text. The first byte says
// what the rest is: j tokenizer.json, v vocab.txt, c tokenizer_config.json, t a text for a fixed
// tokenizer, s labelled sentences, n CoNLL columns, p prompts and completions. In the first three a
// byte 0xFF, which is no part of UTF-8, ends the file, and the text follows.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <lora/text.hpp>

namespace {

using namespace lora;
using namespace lora::data;
using namespace lora::metrics;
using namespace lora::text;

void require(bool holds) {
  if (!holds) std::abort();
}

const std::string vocabulary =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##a\n##b\nab\n##ab\ne\n\u0301\n##\u0301\n中\n##"
    "ß\nß\n";

// The code points of a text as UTF-8, what was not replaced.
std::string repaired(std::string_view text) {
  std::string result;
  for (const Character& c : characters_of(text)) {
    const auto& [begin, end] = c.origin;
    const bool well_formed = is_utf8(text.substr(begin, end - begin));
    result += well_formed ? text.substr(begin, end - begin) : std::string_view("\xEF\xBF\xBD");
  }
  return result;
}

void encode(const BertTokenizer& tokenizer, std::string_view text) {
  const Encoding encoding = tokenizer.encode(text);
  const std::size_t size = encoding.size();
  require(encoding.type_ids.size() == size && encoding.words.size() == size &&
          encoding.offsets.size() == size);
  // Tokens stand in the order of the text, and within it.
  Index word = -1;
  std::size_t begin = 0;
  for (std::size_t i = 0; i < size; ++i) {
    if (encoding.words[i] < 0) continue;
    const Span span = encoding.offsets[i];
    require(span.begin >= begin && span.begin < span.end && span.end <= text.size());
    require(encoding.words[i] == word || encoding.words[i] == word + 1);
    require(tokenizer.token_of(encoding.ids[i]) != nullptr);
    begin = span.begin;
    word = encoding.words[i];
  }
  require(tokenizer.encode(repaired(text)).ids == encoding.ids);
  try {
    const Encoding pair = tokenizer.encode(text, text.substr(text.size() / 2), {.max_length = 8});
    require(pair.size() <= 8);
    require(tokenizer.pad(std::vector{encoding, pair}, {.multiple_of = 8}).ids.cols() % 8 == 0);
  } catch (const ConfigError&) {
    // A template may have more than eight tokens of its own.
  }
}

// All bytes, and merges of a and b.
BytePairTokenizer byte_pair_tokenizer() {
  std::vector<std::pair<std::string, int>> tokens;
  for (int b = 0; b < 256; ++b)
    tokens.emplace_back(spelled_bytes(std::string(1, static_cast<char>(b))), b);
  for (const char* token : {"ab", "aa", "aab", "\u0120a", "\u00C3\u00A9"})
    tokens.emplace_back(token, static_cast<int>(tokens.size()));
  const std::vector<std::pair<std::string, std::string>> merges{
      {"a", "b"}, {"a", "a"}, {"a", "ab"}, {"\u0120", "a"}, {"\u00C3", "\u00A9"}};
  return {BytePair(tokens, merges),
          SplitPattern::llama3,
          true,
          {{.content = "<x>", .id = 300, .special = true}, {.content = "ba", .id = 301}},
          TokenTemplate::plain()};
}

void encode_bytes(const BytePairTokenizer& tokenizer, std::string_view text) {
  for (const bool special : {false, true}) {
    const Encoding encoding =
        tokenizer.encode(text, {.add_special_tokens = false, .parse_special = special});
    for (const Span span : encoding.offsets)
      require(span.begin < span.end && span.end <= text.size());
    require(
        tokenizer.encode(repaired(text), {.add_special_tokens = false, .parse_special = special})
            .ids == encoding.ids);
    require(is_utf8(tokenizer.decode(encoding.ids)));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::string_view rest = input.substr(1);
  const std::string_view file = rest.substr(0, rest.find('\xFF'));
  const std::string_view text = rest.substr(std::min(rest.size(), file.size() + 1));
  try {
    switch (input[0]) {
      case 'j':
        encode(parse_tokenizer_json(file, "fuzz"), text);
        break;
      case 'v':
        encode(parse_vocab_txt(file, "fuzz"), text);
        break;
      case 'c':
        encode(parse_vocab_txt(vocabulary, "fixed", parse_tokenizer_config(file, "fuzz")), text);
        break;
      case 't': {
        static const BertTokenizer fixed = parse_vocab_txt(vocabulary, "fixed");
        encode(fixed, rest);
        break;
      }
      case 'b':
        encode_bytes(parse_byte_pair_json(file, "fuzz"), text);
        break;
      case 'g': {
        static const BytePairTokenizer fixed = byte_pair_tokenizer();
        encode_bytes(fixed, rest);
        break;
      }
      case 's':
        for (const auto& sentence : parse_labelled_sentences(rest, "fuzz"))
          require(sentence.label == 0 || sentence.label == 1);
        break;
      case 'n': {
        EntityScore score;
        for (const auto& sentence : parse_conll(rest, "fuzz")) {
          require(sentence.words.size() == sentence.tags.size());
          score.add(sentence.tags, sentence.tags);
        }
        require(score.overall().correct == score.overall().actual);
        break;
      }
      case 'p':
        for (const auto& pair : parse_prompt_completions(rest, "fuzz"))
          require(is_utf8(pair.prompt) && is_utf8(pair.completion) && !pair.completion.empty());
        break;
      default:
        break;
    }
  } catch (const FileError&) {
    // What a file deserves that is not one.
  }
  return 0;
}
