#include <lora/text/token_template.hpp>

#include "support/catch.hpp"

using namespace lora::text;

TEST_CASE("BERT's template is [CLS] A [SEP], and B [SEP] of type 1") {
  using Kind = TemplatePart::Kind;
  const TokenTemplate bert = TokenTemplate::bert(7, 9);
  CHECK(bert.single ==
        std::vector<TemplatePart>{{Kind::token, 0, 7}, {Kind::first_text, 0}, {Kind::token, 0, 9}});
  CHECK(bert.pair == std::vector<TemplatePart>{{Kind::token, 0, 7},
                                               {Kind::first_text, 0},
                                               {Kind::token, 0, 9},
                                               {Kind::second_text, 1},
                                               {Kind::token, 1, 9}});
  CHECK(TokenTemplate::own_tokens(bert.single) == 2);
  CHECK(TokenTemplate::own_tokens(bert.pair) == 3);
}

TEST_CASE("the plain template has the texts alone") {
  const TokenTemplate plain = TokenTemplate::plain();
  CHECK(plain.single.size() == 1);
  CHECK(plain.pair.size() == 2);
  CHECK(plain.pair[1].type_id == 1);
  CHECK(TokenTemplate::own_tokens(plain.pair) == 0);
  CHECK_FALSE(plain == TokenTemplate::bert(0, 0));
}
