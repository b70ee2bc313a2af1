#include <lora/text/stream_decoder.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include <lora/random/random.hpp>
#include <lora/text/byte_pair_json.hpp>

#include "support/catch.hpp"
#include "text/golden_byte_pair.hpp"

using namespace lora;
using namespace lora::text;

namespace {

// A token a byte, and 256 is special.
struct ByteTokens {
  [[nodiscard]] static std::string bytes_of(int id) {
    return id < 256 ? std::string(1, static_cast<char>(id)) : std::string("<end>");
  }
  [[nodiscard]] static bool is_special(int id) { return id == 256; }
};

std::vector<std::string> streamed(const std::string& bytes) {
  const ByteTokens tokens;
  StreamDecoder<ByteTokens> decoder(tokens);
  std::vector<std::string> parts;
  for (const char byte : bytes) parts.push_back(decoder.push(static_cast<unsigned char>(byte)));
  parts.push_back(decoder.finish());
  return parts;
}

}  // namespace

TEST_CASE("a character comes out when its last byte is there") {
  CHECK(streamed("a\xE6\x97\xA5z") ==
        std::vector<std::string>{"a", "", "", "\xE6\x97\xA5", "z", ""});
  CHECK(streamed("\xF0\x9F\x98\x80") ==
        std::vector<std::string>{"", "", "", "\xF0\x9F\x98\x80", ""});
}

TEST_CASE("what can never become a character is U+FFFD as soon as that is known") {
  const std::string bad = "\xEF\xBF\xBD";
  CHECK(streamed("\xFFz") == std::vector<std::string>{bad, "z", ""});
  CHECK(streamed("\xE6\x97z") == std::vector<std::string>{"", "", bad + "z", ""});
  CHECK(streamed("\xE6\x97") == std::vector<std::string>{"", "", bad});
  // An overlong beginning is none.
  CHECK(streamed("\xC0\x80") == std::vector<std::string>{bad, bad, ""});
  CHECK(streamed("\xED\xA0\x80") == std::vector<std::string>{"", bad + bad, bad, ""});
}

TEST_CASE("special tokens are left out, and waiting bytes are told") {
  const ByteTokens tokens;
  StreamDecoder<ByteTokens> decoder(tokens);
  CHECK(decoder.push(256).empty());
  CHECK(decoder.push(0xE6).empty());
  CHECK(decoder.waiting().size() == 1);
  CHECK(decoder.push(256).empty());
  CHECK(decoder.push(0x97).empty());
  CHECK(decoder.push(0xA5) == "\xE6\x97\xA5");
  CHECK(decoder.waiting().empty());
}

TEST_CASE("what is streamed is what is decoded at once, of any tokens") {
  const BytePairTokenizer tokenizer =
      parse_byte_pair_json(test::golden_byte_pair_json("gpt2").dump(), "t.json");
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    const Random random(seed, RandomStream::shuffling);
    std::vector<int> ids;
    for (std::uint64_t i = 0; i < 30; ++i)
      ids.push_back(static_cast<int>(
          random.words(0, i)[0] % static_cast<std::uint32_t>(tokenizer.model().largest_id() + 3)));
    StreamDecoder<BytePairTokenizer> decoder(tokenizer);
    std::string text;
    for (const int id : ids) text += decoder.push(id);
    text += decoder.finish();
    CHECK(text == tokenizer.decode(ids));
  }
}
