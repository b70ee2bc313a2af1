#include <lora/io/json_text.hpp>

#include <lora/io/json_value.hpp>

#include <limits>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::io;

TEST_CASE("strings are written as nlohmann's library writes them") {
  std::string every;
  for (char c = 1; c != 0x7F; ++c) every += c;
  every += "\x7F";
  for (const std::string& text :
       {std::string(), std::string("plain"), every, std::string("a\0b", 3),
        std::string(
            "\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80\xEF\xBF\xBF\xF4\x8F\xBF\xBF\xF0\x90\x80\x80")}) {
    CHECK(quoted(text, "here") == Json(text).dump());
    CHECK(quoted(text, "here", JsonEscapes::non_ascii) == Json(text).dump(-1, ' ', true));
  }
  for (const char* bad : {"\xFF", "a\xC3", "\xED\xA0\x80"})
    CHECK_THROWS_AS(quoted(bad, "here"), FileError);
}

TEST_CASE("numbers read back as they were") {
  CHECK(json_number(16) == "16");
  CHECK(json_number(-2) == "-2");
  CHECK(json_number(0.05) == "0.05");
  CHECK(json_float(0) == "0.0");
  CHECK(json_float(0.1) == "0.1");
  for (const double value : {0.1, 1e-5, 1.0 / 3, 1e300, 0x1p60, -0x1p-1074, 123456.789}) {
    CHECK(Json::parse(json_number(value)).get<double>() == value);
    CHECK(Json::parse(json_float(value)).get<double>() == value);
  }
  CHECK(json_number(std::numeric_limits<double>::infinity()) == "null");
  CHECK(json_number(std::numeric_limits<double>::quiet_NaN()) == "null");
}

TEST_CASE("arrays and objects are laid out as nlohmann's library does with an indent of 2") {
  const Json value = {
      {"a", Json::array()}, {"b", {1, 2}}, {"c", Json::object()}, {"d", {{"e", "f"}}}};
  CHECK(json_object({{"\"a\"", json_array({}, 1)},
                     {"\"b\"", json_array({"1", "2"}, 1)},
                     {"\"c\"", json_object({}, 1)},
                     {"\"d\"", json_object({{"\"e\"", "\"f\""}}, 1)}}) == value.dump(2));
}
