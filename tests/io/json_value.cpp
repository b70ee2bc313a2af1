#include <lora/io/json_value.hpp>

#include <limits>
#include <vector>

#include "support/throws.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

TEST_CASE("is_text compares a value with a string, and nothing else is one") {
  CHECK(is_text(Json("LORA"), "LORA"));
  CHECK(is_text(Json(""), ""));
  CHECK_FALSE(is_text(Json("LORA"), "lora"));
  CHECK_FALSE(is_text(Json("LORA"), "LOR"));
  for (const Json& other : {Json(), Json(1), Json(true), Json::array({"LORA"})})
    CHECK_FALSE(is_text(other, "LORA"));
}

TEST_CASE("quoted escapes, and refuses what is not UTF-8") {
  CHECK(quoted("a\"b\n", "f") == "\"a\\\"b\\n\"");
  check_throws<FileError>([] { static_cast<void>(quoted("\xC3", "f.x")); }, "f.x: ");
}

TEST_CASE("excerpt keeps messages short") {
  CHECK(excerpt(Json(7)) == "7");
  CHECK(excerpt(Json("abc")) == "\"abc\"");
  CHECK(excerpt(Json(std::string(1000, 'x'))).size() < 100);
  CHECK(excerpt(Json(std::vector<int>(1000, 1))) == "1000 elements");
  CHECK(excerpt(Json("größe\n\x1B")) == R"("gr\u00f6\u00dfe\n\u001b")");
  CHECK(excerpt(Json(std::numeric_limits<double>::quiet_NaN())) == "nan");
  CHECK(excerpt(Json("\xFF")) == R"("\ufffd")");
}
