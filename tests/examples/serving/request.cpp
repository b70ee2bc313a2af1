#include "examples/serving/request.hpp"

#include <string>

#include "support/catch.hpp"

using namespace serving;

TEST_CASE("a line is a request, with defaults for what it leaves out") {
  const Request short_one = parse_request(R"({"prompt": "hello"})", 3, 16);
  CHECK(short_one.error.empty());
  CHECK(short_one.id == 3);
  CHECK(!short_one.adapter);
  CHECK(short_one.max_tokens == 16);
  CHECK(!short_one.sampling.do_sample);

  const Request long_one = parse_request(
      R"({"id": "a", "adapter": "french", "prompt": "", "max_tokens": 5, "temperature": 0.5,
          "top_k": 4, "seed": 9, "stop": ["x", "y"], "plain": true})",
      1, 16);
  CHECK(long_one.error.empty());
  CHECK(long_one.id == "a");
  CHECK(long_one.adapter == "french");
  CHECK(long_one.max_tokens == 5);
  CHECK(long_one.sampling.do_sample);
  CHECK(long_one.sampling.temperature == 0.5);
  CHECK(long_one.sampling.top_k == 4);
  CHECK(long_one.sampling.seed == 9);
  CHECK(long_one.stop == std::vector<std::string>{"x", "y"});
  CHECK(long_one.plain);
  CHECK(parse_request(R"({"adapter": null, "prompt": "", "stop": "end"})", 1, 1).stop.size() == 1);
}

TEST_CASE("what is wrong with a line is said after its number") {
  const auto error = [](const std::string& text) { return parse_request(text, 7, 16).error; };
  const auto has = [&](const std::string& text, const std::string& part) {
    CAPTURE(text, error(text));
    CHECK(error(text).starts_with("line 7"));
    CHECK(error(text).find(part) != std::string::npos);
  };
  has("{", "not valid JSON");
  has("[]", "is not a JSON object");
  has("{}", "lacks prompt");
  has(R"({"prompt": 1})", "prompt is not a string");
  has(R"({"prompt": "p", "adaptor": "a"})", "the key \"adaptor\" is not known");
  has(R"({"prompt": "p", "prompt": "q"})", "stands twice");
  has(R"({"prompt": "p", "max_tokens": 0})", "max_tokens is 0");
  has(R"({"prompt": "p", "max_tokens": -1})", "max_tokens is not an integer");
  has(R"({"prompt": "p", "temperature": 0})", "temperature is 0");
  has(R"({"prompt": "p", "top_p": "much"})", "top_p is not a number");
  has(R"({"prompt": "p", "stop": ["x", ""]})", "would end any answer");
  has(R"({"prompt": "p", "stop": [1]})", "not a string");
  has(R"({"prompt": "p", "id": []})", "id is neither");
  has("{\"prompt\": \"\xFF\"}", "");
  CHECK(parse_request(R"({"id": 5, "prompt": 1})", 7, 16).id == 5);
}
