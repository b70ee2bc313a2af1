#include <lora/text/template_json.hpp>

#include <string>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::text;

namespace {

TokenTemplate template_of(const std::string& text) {
  const io::Json json = io::parse_json(text, "t.json");
  return read_template(JsonFields(json, "t.json"));
}

// A TemplateProcessing of these parts, where [C] is 7 and 8, and [S] is 9.
std::string processing_json(const std::string& single, const std::string& pair) {
  return R"({"type": "TemplateProcessing", "single": [)" + single + R"(], "pair": [)" + pair +
         R"(], "special_tokens": {"[C]": {"id": "[C]", "ids": [7, 8]}, "[S]": {"ids": [9]}}})";
}

const std::string text_a = R"({"Sequence": {"id": "A", "type_id": 0}})";
const std::string text_b = R"({"Sequence": {"id": "B", "type_id": 1}})";
const std::string token_c = R"({"SpecialToken": {"id": "[C]", "type_id": 5}})";
const std::string token_s = R"({"SpecialToken": {"id": "[S]", "type_id": 0}})";

}  // namespace

TEST_CASE("a template has its tokens and its texts in their order") {
  using Kind = TemplatePart::Kind;
  const TokenTemplate expected{
      {{Kind::token, 5, 7}, {Kind::token, 5, 8}, {Kind::first_text, 0}, {Kind::token, 0, 9}},
      {{Kind::second_text, 1}, {Kind::first_text, 0}}};
  CHECK(template_of(processing_json(token_c + "," + text_a + "," + token_s,
                                    text_b + "," + text_a)) == expected);
  CHECK(template_of(R"({"type": "BertProcessing", "cls": ["[C]", 7], "sep": ["[S]", 9]})") ==
        TokenTemplate::bert(7, 9));
}

TEST_CASE("a template that lacks a text, or repeats one, is refused") {
  const std::string single = "t.json: single does not have each of its texts once";
  CHECK_THROWS_WITH(template_of(processing_json(token_s, text_a + "," + text_b)), single);
  CHECK_THROWS_WITH(template_of(processing_json(text_a + "," + text_a, text_a + "," + text_b)),
                    single);
  CHECK_THROWS_WITH(template_of(processing_json(text_b, text_a + "," + text_b)), single);
  CHECK_THROWS_WITH(template_of(processing_json(text_a, text_a)),
                    "t.json: pair does not have each of its texts once");
}

TEST_CASE("what is no template is refused with its text escaped") {
  CHECK_THROWS_WITH(template_of(R"({"type": "A\u200b"})"),
                    R"(t.json: type is A\u200b, of which only TemplateProcessing and )"
                    "BertProcessing are known");
  CHECK_THROWS_WITH(
      template_of(processing_json(R"({"Sequence": {"id": "\n", "type_id": 0}})", text_a)),
      R"(t.json, single, Sequence: id is \n, expected A or B)");
  // A name that goes on behind a NUL is another one.
  CHECK_THROWS_WITH(template_of(processing_json(
                        R"({"SpecialToken": {"id": "[C]\u0000x", "type_id": 0}})", text_a)),
                    R"(t.json, special_tokens: lacks [C]\x00x)");
  CHECK_THROWS_WITH(template_of(R"({"type": "BertProcessing", "cls": [7], "sep": ["[S]", 9]})"),
                    "t.json: cls is not a token and its id");
}
