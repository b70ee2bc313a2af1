#include <lora/text/byte_pair_gguf.hpp>

#include <map>
#include <string>
#include <vector>

#include <lora/text/byte_pair_json.hpp>

#include "support/catch.hpp"
#include "support/throws.hpp"
#include "text/golden_byte_pair.hpp"

using namespace lora;
using namespace lora::text;
using namespace lora::test;

namespace {

// The metadata that llama.cpp's converter would write for a tokenizer.json; texts live in it.
struct GgufKeys {
  explicit GgufKeys(const std::string& name) {
    const io::Json json = golden_byte_pair_json(name);
    std::map<int, std::string> by_id;
    for (const auto& [token, id] : json["model"]["vocab"].items()) by_id[id.get<int>()] = token;
    std::map<int, double> type;
    for (const auto& added : json["added_tokens"]) {
      const int id = added["id"].get<int>();
      by_id[id] = added["content"].get<std::string>();
      type[id] = added["special"].get<bool>() ? 3 : 4;
    }
    for (const auto& [id, token] : by_id) {
      tokens.push_back(token);
      types.push_back(type.contains(id) ? type[id] : 1);
    }
    for (const auto& merge : json["model"]["merges"])
      merges.push_back(merge[0].get<std::string>() + " " + merge[1].get<std::string>());
  }

  [[nodiscard]] io::GgufMetadata metadata(const char* pre) const {
    io::GgufMetadata metadata("f.gguf");
    metadata.insert("tokenizer.ggml.model", std::string_view("gpt2"));
    metadata.insert("tokenizer.ggml.pre", std::string_view(pre));
    metadata.insert("tokenizer.ggml.tokens", list(tokens));
    metadata.insert("tokenizer.ggml.merges", list(merges));
    metadata.insert("tokenizer.ggml.token_type",
                    io::GgufList{.type = io::GgufValueType::i32, .numbers = types});
    metadata.insert("tokenizer.ggml.add_bos_token", false);
    return metadata;
  }

  static io::GgufList list(const std::vector<std::string>& texts) {
    io::GgufList out;
    for (const std::string& text : texts) out.texts.push_back(text);
    return out;
  }

  std::vector<std::string> tokens, merges;
  std::vector<double> types;
};

}  // namespace

TEST_CASE("a tokenizer is the same from a GGUF's keys as from its tokenizer.json") {
  const std::map<std::string, std::string> names{
      {"gpt2", "gpt-2"}, {"llama3", "llama-bpe"}, {"qwen2", "qwen2"}, {"smollm", "smollm"}};
  for (const auto& [name, pre] : names) {
    CAPTURE(name);
    const GgufKeys keys(name);
    const BytePairTokenizer gguf = byte_pair_of_gguf(keys.metadata(pre.c_str()));
    const BytePairTokenizer json =
        parse_byte_pair_json(golden_byte_pair_json(name).dump(), "t.json");
    CHECK(gguf.pattern() == json.pattern());
    for (const std::string text :
         {"Hello world, it's 2024!", "na\xC3\xAFve caf\xC3\xA9 12345 \xE6\x97\xA5\xE6\x9C\xAC",
          "  two  spaces\n\n and tabs\t", "<|endoftext|> as text"}) {
      CAPTURE(text);
      CHECK(gguf.encode(text, {.add_special_tokens = false}).ids ==
            json.encode(text, {.add_special_tokens = false}).ids);
      CHECK(gguf.decode(gguf.encode(text).ids) == json.decode(json.encode(text).ids));
    }
  }
}

TEST_CASE("a GGUF may ask for the tokens of beginning and end") {
  const GgufKeys keys("gpt2");
  io::GgufMetadata metadata("f.gguf");
  const io::GgufMetadata all = keys.metadata("llama-bpe");
  for (const auto& [key, value] : all.values())
    if (key != "tokenizer.ggml.add_bos_token") metadata.insert(key, value);
  metadata.insert("tokenizer.ggml.bos_token_id", std::uint64_t{5});
  metadata.insert("tokenizer.ggml.eos_token_id", std::uint64_t{6});
  metadata.insert("tokenizer.ggml.add_eos_token", true);
  const std::vector<int> ids = byte_pair_of_gguf(metadata).encode("a").ids;
  CHECK(ids.front() == 5);
  CHECK(ids.back() == 6);
}

TEST_CASE("keys of another tokenizer, or that contradict each other, are refused") {
  const GgufKeys keys("gpt2");
  const auto refused = [&](const std::string& key, const io::GgufValue& value, const char* part) {
    io::GgufMetadata spoilt("f.gguf");
    spoilt.insert(key, value);
    const io::GgufMetadata all = keys.metadata("gpt-2");
    for (const auto& [name, other] : all.values()) spoilt.insert(name, other);
    check_throws<FileError>([&] { static_cast<void>(byte_pair_of_gguf(spoilt)); }, part);
  };
  refused("tokenizer.ggml.model", std::string_view("bert"), "expected \"gpt2\" (byte-level BPE)");
  refused("tokenizer.ggml.pre", std::string_view("tekken"), "tokenizer.ggml.pre is \"tekken\"");
  refused("tokenizer.ggml.token_type", io::GgufList{.type = io::GgufValueType::i32, .numbers = {1}},
          "has 1 types of tokens");
  refused("tokenizer.ggml.merges", GgufKeys::list({"a b c"}), "the merge \"a b c\"");
  refused("tokenizer.ggml.merges", GgufKeys::list({"zz qq"}), "zz");
  refused("tokenizer.ggml.tokens", GgufKeys::list({"a"}), "types of tokens");
  refused("tokenizer.ggml.add_bos_token", true, "has no key \"tokenizer.ggml.bos_token_id\"");
}
