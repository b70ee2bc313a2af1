#include <lora/core/printable.hpp>

#include <string>

#include "support/catch.hpp"

using namespace lora;
using namespace std::string_literals;

TEST_CASE("what can be seen is printed as it stands") {
  CHECK(printable("") == "");
  CHECK(printable("a b~") == "a b~");
  CHECK(printable("größe 東京 😀 e\u0301") == "größe 東京 😀 e\u0301");
  CHECK(printable("\uFFFD") == "\uFFFD");
}

TEST_CASE("what cannot be seen is printed escaped") {
  CHECK(printable("a\0\x1B[31m\x7F"s) == R"(a\x00\x1b[31m\x7f)");
  CHECK(printable("a\tb\r\n") == R"(a\tb\r\n)");
  CHECK(printable("B-ORG\u00A0") == R"(B-ORG\u00a0)");
  CHECK(printable("\u0085\u00AD\u200B\u200E\u2028\u202E\u2060\u3000\uFEFF") ==
        R"(\u0085\u00ad\u200b\u200e\u2028\u202e\u2060\u3000\ufeff)");
  CHECK(printable("\U000E0041\U0010FFFF\uE000") == R"(\U000e0041\U0010ffff\ue000)");
}

TEST_CASE("what would end a quotation, or look like an escape, is escaped too") {
  CHECK(printable(R"(a"b\n)") == R"(a\"b\\n)");
}

TEST_CASE("bytes that are not UTF-8 are printed in hexadecimal") {
  CHECK(printable("\xFF") == R"(\xff)");
  CHECK(printable("a\xE6\x97z\xC3") == R"(a\xe6\x97z\xc3)");
}

TEST_CASE("a long text is cut at a character, whatever its bytes") {
  CHECK(printable("abcd", 4) == "abcd");
  CHECK(printable("abcde", 4) == "abcd ...");
  CHECK(printable("éééé", 2) == "éé ...");
  CHECK(printable("\n\n\n", 2) == R"(\n\n ...)");
  CHECK(printable("a", 0) == " ...");
  CHECK(printable(std::string(1'000'000, 'a')).size() == 84);
}

TEST_CASE("a name stands in quotes") {
  CHECK(lora::in_quotes("a\n\"") == R"("a\n\"")");
  CHECK(lora::in_quotes(std::string(1000, 'x')).size() < 310);
}
