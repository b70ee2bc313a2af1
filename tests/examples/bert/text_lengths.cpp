#include "examples/bert/text_lengths.hpp"

#include <filesystem>
#include <string>

#include "examples/bert_ner/problem.hpp"
#include "support/catch.hpp"

namespace {

// The sentences of a stored file, all of them validation texts, encoded with at most `max_length`.
bert::Problem long_problem(lora::Index max_length) {
  const auto tokenizer =
      lora::text::parse_vocab_txt("[PAD]\n[UNK]\n[CLS]\n[SEP]\nhello\nworld\n", "v");
  const auto sentences = lora::data::read_conll(std::filesystem::path(LORA_GOLDEN_DIR) /
                                                "cases/too-long-text/long.conll");
  bert::Problem problem;
  problem.validation = ner::encode(sentences, {"O", "B-X"}, tokenizer, max_length);
  return problem;
}

}  // namespace

TEST_CASE("a text that is longer than the model's positions is named before a run") {
  const bert::Problem problem = long_problem(0);
  REQUIRE(problem.validation.size() > 1);
  CHECK_THROWS_WITH(bert::require_positions(problem, 16),
                    "validation text 1, \"hello world hello world hello world hell ...\", has 26 "
                    "tokens, expected at most max_position_embeddings = 16: --max-length 16 "
                    "truncates");
  CHECK_THROWS_AS(bert::require_positions(problem, 25), lora::ShapeError);
  CHECK_NOTHROW(bert::require_positions(problem, 26));
}

TEST_CASE("texts that were truncated as asked fit the model") {
  const bert::Problem problem = long_problem(16);
  CHECK_NOTHROW(bert::require_positions(problem, 16));
  CHECK(problem.validation.encodings[0].size() == 16);
}
