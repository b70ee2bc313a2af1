#include "examples/serving/answer_writer.hpp"

#include <sstream>
#include <string>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace serving;

namespace {

Answer numbered(std::size_t number, const std::string& text) {
  Answer answer{number, number};
  answer.text = text;
  answer.finish = "stop";
  return answer;
}

}  // namespace

TEST_CASE("answers come in the order of their requests, or as they are finished") {
  for (const bool as_finished : {false, true}) {
    std::ostringstream out;
    AnswerWriter writer(out, as_finished);
    writer.write(numbered(1, "b"));
    CHECK(out.str().empty() == !as_finished);
    writer.write(numbered(0, "a"));
    writer.write(refusal({.number = 2, .id = "x", .adapter = "none"}, "why"));
    CHECK(writer.refused() == 1);
    const std::string a =
        R"({"id":0,"adapter":null,"text":"a","finish":"stop","prompt_tokens":0,"tokens":0})"
        "\n";
    const std::string b =
        R"({"id":1,"adapter":null,"text":"b","finish":"stop","prompt_tokens":0,"tokens":0})"
        "\n";
    const std::string last = "{\"id\":\"x\",\"adapter\":\"none\",\"error\":\"why\"}\n";
    CHECK(out.str() == (as_finished ? b + a : a + b) + last);
  }
}

TEST_CASE(
    "an output that takes nothing more is an error, and bytes that are no text are replaced") {
  CHECK(json_line(numbered(0, "a\xFF")).find("\xEF\xBF\xBD") != std::string::npos);
  std::ostringstream out;
  AnswerWriter writer(out, false);
  out.setstate(std::ios::failbit);
  lora::test::check_throws<lora::FileError>([&] { writer.write(numbered(0, "a")); },
                                            "cannot be written");
}
