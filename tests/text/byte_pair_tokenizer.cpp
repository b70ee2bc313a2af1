#include <lora/text/byte_pair_tokenizer.hpp>

#include <string>
#include <vector>

#include <lora/text/byte_pair_json.hpp>

#include "support/catch.hpp"
#include "text/golden_byte_pair.hpp"

using namespace lora;
using namespace lora::text;

namespace {

BytePairTokenizer golden_bpe_tokenizer(const std::string& name) {
  return parse_byte_pair_json(test::golden_byte_pair_json(name).dump(), "t.json");
}

}  // namespace

TEST_CASE("texts with added tokens have Hugging Face's ids, and decode to its texts") {
  const auto& golden = test::golden_byte_pair()["added"];
  const auto& texts = golden["strings"];
  REQUIRE(texts.size() > 200);
  for (const char* name : {"gpt2", "llama3", "qwen2", "smollm"}) {
    const BytePairTokenizer tokenizer = golden_bpe_tokenizer(name);
    const EncodeOptions special{.parse_special = true};
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const auto text = texts[i].get<std::string>();
      CAPTURE(name, i, printable(text));
      const auto ids = tokenizer.encode(text, special).ids;
      CHECK(ids == golden["ids"][name][i].get<std::vector<int>>());
      CHECK(tokenizer.encode(text).ids == golden["as text"][name][i].get<std::vector<int>>());
      if (i + 1 < texts.size())
        CHECK(tokenizer.encode(text, texts[i + 1].get<std::string>(), special).ids ==
              golden["pairs"][name][i].get<std::vector<int>>());
      const auto& decoded = golden["decoded"][name][i];
      CHECK(tokenizer.decode(ids) == decoded[0].get<std::string>());
      if (!ids.empty())
        CHECK(tokenizer.decode(std::span(ids).subspan(1)) == decoded[1].get<std::string>());
      CHECK(tokenizer.decode(ids, false) == decoded[2].get<std::string>());
    }
  }
}

TEST_CASE("a text that spells a special token stays text unless it is asked for") {
  const BytePairTokenizer tokenizer = golden_bpe_tokenizer("gpt2");
  const int begin = tokenizer.id_of("<|begin|>").value();
  CHECK(tokenizer.encode("<|begin|>", {.parse_special = true}).ids == std::vector{begin});
  const Encoding text = tokenizer.encode("<|begin|>");
  CHECK(text.size() > 1);
  CHECK(tokenizer.decode(text.ids) == "<|begin|>");
  // An added token that is not special is one in any text.
  CHECK(tokenizer.encode("foo").ids == std::vector{tokenizer.id_of("foo").value()});
}

TEST_CASE("what is encoded decodes to itself, and offsets are the tokens' places") {
  const BytePairTokenizer tokenizer = golden_bpe_tokenizer("gpt2");
  for (const auto& entry : test::golden_byte_pair()["strings"]) {
    const auto text = entry.get<std::string>();
    const Encoding encoding = tokenizer.encode(text);
    CAPTURE(printable(text));
    CHECK(tokenizer.decode(encoding.ids) == text);
    std::size_t begin = 0;
    for (const Span span : encoding.offsets) {
      CHECK(span.begin >= begin);
      CHECK(span.end > span.begin);
      CHECK(is_utf8(std::string_view(text).substr(span.begin, span.end - span.begin)));
      begin = span.begin;
    }
    CHECK((encoding.offsets.empty() || encoding.offsets.back().end == text.size()));
  }
}

TEST_CASE("bytes that are not UTF-8 count as U+FFFD, and ids that no token has as nothing") {
  const BytePairTokenizer tokenizer = golden_bpe_tokenizer("llama3");
  CHECK(tokenizer.encode("a\xFF\xE6\x97z").ids == tokenizer.encode("a\uFFFD\uFFFDz").ids);
  CHECK(tokenizer.decode(std::vector{-1, 1'000'000}) == "");
  CHECK(tokenizer.bytes_of(1'000'000).empty());
  CHECK(tokenizer.encode("").ids == std::vector{tokenizer.id_of("<|begin|>").value()});
  CHECK(tokenizer.encode("a b c", {.max_length = 2}).size() == 2);
}
