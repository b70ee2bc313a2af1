#include <lora/text/make_bert_tokenizer.hpp>

#include <string>
#include <utility>
#include <vector>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::text;

namespace {

WordPiece small_model() {
  const std::vector<std::pair<std::string, int>> tokens{{"[PAD]", 0}, {"[UNK]", 1}, {"[CLS]", 2},
                                                        {"[SEP]", 3}, {"a", 4},     {"b", 9}};
  return {tokens, {}};
}

}  // namespace

TEST_CASE("a tokenizer has what BERT's texts have around them") {
  const auto tokenizer = make_bert_tokenizer(small_model(), {}, "f");
  CHECK(tokenizer.encode("A b", "a").ids == std::vector{2, 4, 9, 3, 4, 3});
  CHECK(tokenizer.templates() == TokenTemplate::bert(2, 3));
  CHECK(make_bert_tokenizer(small_model(), {.do_lower_case = false}, "f").encode("A b").ids ==
        std::vector{2, 1, 9, 3});
  // A token of the model's own may be an added one.
  const auto other = make_bert_tokenizer(
      small_model(), {.cls_token = "<s>", .added_tokens = {{.content = "<s>", .id = 12}}}, "f");
  CHECK(other.encode("a<s>").ids == std::vector{12, 4, 12, 3});
  CHECK_THROWS_WITH(make_bert_tokenizer(small_model(), {.cls_token = "<s>"}, "f"),
                    "f: the vocabulary lacks the token <s>");
}
