#include <lora/text/bert_tokenizer.hpp>

#include <cstdlib>
#include <iostream>
#include <thread>

#include <lora/text/load_bert_tokenizer.hpp>

#include "support/catch.hpp"
#include "text/golden_text.hpp"

using namespace lora;
using namespace lora::text;
using test::golden_text;
using test::golden_tokenizer;

namespace {

std::string string_at(const io::Json& index) {
  return golden_text()["strings"][index.get<std::size_t>()].get<std::string>();
}

EncodeOptions options_of(const io::Json& length, const io::Json& special) {
  return {.max_length = length.get<std::size_t>(), .add_special_tokens = special.get<bool>()};
}

}  // namespace

TEST_CASE("texts have Hugging Face's ids") {
  const BertTokenizer tokenizer = golden_tokenizer();
  const auto& strings = golden_text()["strings"];
  const auto& ids = golden_text()["ids"];
  REQUIRE(strings.size() > 3000);
  REQUIRE(ids.size() == strings.size());
  for (std::size_t i = 0; i < strings.size(); ++i) {
    CAPTURE(i, strings[i].get<std::string>());
    CHECK(tokenizer.encode(strings[i].get<std::string>()).ids == ids[i].get<std::vector<int>>());
  }
}

TEST_CASE("ids, words and offsets are Hugging Face's for every setting of the normalizer") {
  const auto [name, changes] = GENERATE(
      std::pair<const char*, io::Json>{"uncased", {}},
      std::pair{"cased", io::Json{{"lowercase", false}}},
      std::pair{"lowercase, accents", io::Json{{"strip_accents", false}}},
      std::pair{"cased, no accents", io::Json{{"lowercase", false}, {"strip_accents", true}}},
      std::pair{"unclean", io::Json{{"clean_text", false}}},
      std::pair{"unclean, cased", io::Json{{"clean_text", false}, {"lowercase", false}}},
      std::pair{"no CJK", io::Json{{"handle_chinese_chars", false}}});
  const BertTokenizer tokenizer = golden_tokenizer(changes);
  const auto& strings = golden_text()["strings"];
  const auto& sums = golden_text()["checksums"][name];
  REQUIRE(sums.size() == strings.size());
  for (std::size_t i = 0; i < strings.size(); ++i) {
    CAPTURE(name, i, strings[i].get<std::string>());
    CHECK(test::checksum(tokenizer.encode(strings[i].get<std::string>())) ==
          sums[i].get<std::uint32_t>());
  }
}

TEST_CASE("bytes that are not UTF-8 are replaced as Python replaces them") {
  const BertTokenizer tokenizer = golden_tokenizer({{"clean_text", false},
                                                    {"handle_chinese_chars", false},
                                                    {"strip_accents", false},
                                                    {"lowercase", false}});
  for (const auto& entry : golden_text()["bytes"]) {
    const auto hex = entry[0].get<std::string>();
    std::string bytes;
    for (std::size_t i = 0; i < hex.size(); i += 2)
      bytes.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
    CAPTURE(hex);
    CHECK(utf32(bytes) == utf32(entry[1].get<std::string>()));
    CHECK(is_utf8(bytes) == (bytes == entry[1].get<std::string>()));
    CHECK(tokenizer.encode(bytes).ids == entry[2].get<std::vector<int>>());
  }
}

TEST_CASE("pairs are joined and truncated as Hugging Face does") {
  const BertTokenizer tokenizer = golden_tokenizer();
  for (const auto& entry : golden_text()["pairs"]) {
    const std::string first = string_at(entry[0]), second = string_at(entry[1]);
    CAPTURE(first, second, entry[2].get<int>(), entry[3].get<bool>());
    const Encoding encoding = tokenizer.encode(first, second, options_of(entry[2], entry[3]));
    CHECK(encoding.ids == entry[5].get<std::vector<int>>());
    CHECK(test::checksum(encoding) == entry[4].get<std::uint32_t>());
  }
  for (const auto& entry : golden_text()["truncated"]) {
    CAPTURE(string_at(entry[0]), entry[1].get<int>(), entry[2].get<bool>());
    CHECK(test::checksum(tokenizer.encode(string_at(entry[0]), options_of(entry[1], entry[2]))) ==
          entry[3].get<std::uint32_t>());
  }
}

TEST_CASE("texts given as words keep the words' numbers") {
  const BertTokenizer tokenizer = golden_tokenizer();
  for (const auto& entry : golden_text()["words"]) {
    const auto words = entry[0].get<std::vector<std::string>>();
    CAPTURE(words);
    CHECK(test::checksum(tokenizer.encode_words(words)) == entry[1].get<std::uint32_t>());
  }
}

TEST_CASE("a batch is padded as Hugging Face pads it") {
  const BertTokenizer tokenizer = golden_tokenizer();
  const auto& rows = golden_text()["batch"];
  std::vector<Encoding> encodings;
  for (std::size_t i = 0; i < rows.size(); ++i)
    encodings.push_back(tokenizer.encode(string_at(3 * i)));
  const TokenBatch batch = tokenizer.pad(encodings, {.multiple_of = 8});
  REQUIRE(batch.ids.rows() == static_cast<Index>(rows.size()));
  for (Index row = 0; row < batch.ids.rows(); ++row) {
    const auto& expected = rows[static_cast<std::size_t>(row)];
    const auto equal = [&](const Matrix<int>& m, const io::Json& values) {
      return std::vector<int>(m.row(row).begin(), m.row(row).end()) ==
             values.get<std::vector<int>>();
    };
    CAPTURE(row);
    CHECK(equal(batch.ids, expected[0]));
    CHECK(equal(batch.attention_mask, expected[1]));
    CHECK(equal(batch.type_ids, expected[2]));
  }
}

TEST_CASE("max_length leaves room for the model's own tokens") {
  const BertTokenizer tokenizer = golden_tokenizer();
  CHECK_THROWS_WITH(tokenizer.encode("the film", {.max_length = 1}),
                    "encode: max_length is 1, expected at least 2, the model's own "
                    "tokens");
  CHECK_THROWS_AS(tokenizer.encode("the film", "good", {.max_length = 2}), ConfigError);
  CHECK(tokenizer.encode("the film", {.max_length = 1, .add_special_tokens = false}).size() == 1);
}

TEST_CASE("threads share a tokenizer", "[threads]") {
  const BertTokenizer tokenizer = golden_tokenizer();
  const auto& strings = golden_text()["strings"];
  const auto& ids = golden_text()["ids"];
  std::vector<int> wrong(2, 0);
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < wrong.size(); ++t)
    threads.emplace_back([&, t] {
      for (std::size_t i = 0; i < strings.size(); ++i)
        if (tokenizer.encode(strings[i].get_ref<const std::string&>()).ids !=
            ids[i].get<std::vector<int>>())
          ++wrong[t];
    });
  for (auto& thread : threads) thread.join();
  CHECK(wrong == std::vector<int>(wrong.size(), 0));
}

TEST_CASE("a hostile text takes time in proportion to its length") {
  // Each would take hours if a step went through all that came before it; ctest ends it then.
  const BertTokenizer tokenizer = golden_tokenizer();
  constexpr std::size_t size = 1'000'000;
  std::string spaces, brackets, marks = "a", words;
  while (spaces.size() < size) spaces += "[MASK]   ";
  while (brackets.size() < size) brackets += "[MAS";
  while (marks.size() < size) marks += "\u0301\u0316";
  while (words.size() < size) words += "aaab ";
  CHECK(tokenizer.encode(std::string(size, 'a')).ids.size() == 3);
  CHECK(tokenizer.encode(std::string(size, ' ')).ids.size() == 2);
  CHECK(tokenizer.encode(spaces).ids.size() == 2 + spaces.size() / 9);
  CHECK(tokenizer.encode(brackets).ids.size() == 2 + brackets.size());
  CHECK(tokenizer.encode(marks).ids.size() == 3);
  CHECK(tokenizer.encode(words).ids.size() == 2 + 4 * (words.size() / 5));
}
