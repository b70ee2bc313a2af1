#include <lora/io/safetensors/safetensors_header.hpp>

#include "support/allocations.hpp"
#include "support/safetensors_bytes.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

namespace {

void refused_header(const std::string& bytes, const std::string& why) {
  CAPTURE(bytes.substr(0, 200));
  const auto read = [&] { static_cast<void>(read_safetensors_header(test::as_bytes(bytes), "f")); };
  check_throws<FileError>(read, why);
  check_throws<FileError>(read, "f: ");
}

// A header of one tensor.
std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"a":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

}  // namespace

TEST_CASE("a header says what the file holds") {
  const std::string bytes = safetensors_bytes(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
      R"("a":{"dtype":"U8","shape":[],"data_offsets":[8,9]},)"
      R"("empty":{"dtype":"F64","shape":[3,0],"data_offsets":[8,8]}}   )",
      "123456789");
  const auto header = read_safetensors_header(test::as_bytes(bytes), "f");
  CHECK(header.metadata == std::map<std::string, std::string>{{"format", "pt"}});
  REQUIRE(header.tensors.size() == 3);
  CHECK(header.tensors.at("b").shape == Shape{2});
  CHECK(header.tensors.at("b").bytes.size() == 8);
  CHECK(header.tensors.at("a").bytes[0] == std::byte{'9'});
  CHECK(header.tensors.at("empty").shape == Shape{3, 0});
  CHECK(read_safetensors_header(test::as_bytes(safetensors_bytes("{}")), "f").tensors.empty());
  CHECK(read_safetensors_header(
            test::as_bytes(safetensors_bytes(one("\"F4\"", "[2]", "[0,1]"), "x")), "f")
            .tensors.at("a")
            .dtype == DType::F4);
}

TEST_CASE("a file that is cut short, or whose header lies about its length, is refused") {
  const std::string whole = safetensors_bytes(one("\"F32\"", "[2]", "[0,8]"), "12345678");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK_THROWS_AS(read_safetensors_header(test::as_bytes(whole.substr(0, size)), "f"), FileError);
  }
  refused_header(whole + "9", "the tensors end at 8, but there are 9 bytes of data");
  refused_header("", "is 0 bytes, expected at least 8");
  refused_header("1234567", "is 7 bytes");
  refused_header(std::string(8, '\xff'), "the header's length is 18446744073709551615");
  refused_header(std::string("\x01\x00\x00\x00\x00\x00\x00\x00", 8), "but only 0 bytes follow");
  refused_header(std::string("\x01\xe1\xf5\x05\x00\x00\x00\x00", 8), "expected at most 100000000");
  refused_header(std::string(8, '\0') + "{}", "the header does not begin with {");
}

TEST_CASE("a header that is not what the format says is refused") {
  for (const char* text : {" {}", "[]", "1", "\"a\"", "null"})
    refused_header(safetensors_bytes(text), "the header does not begin with {");
  for (const char* text : {"{", "{}}", "{}x", "{\"a\":}", "{\"\xff\":1}"})
    refused_header(safetensors_bytes(text), "not valid JSON");
  refused_header(safetensors_bytes(R"({"a":1})"), "tensor \"a\" is not described by an object");
  refused_header(safetensors_bytes(R"({"a":{},"a":{}})"), "stands twice");
  refused_header(safetensors_bytes(R"({"__metadata__":[]})"), "__metadata__ is not an object");
  refused_header(safetensors_bytes(R"({"__metadata__":{"a":1}})"),
                 "__metadata__ \"a\" is not a string");
  refused_header(safetensors_bytes(R"({"a":{"b":{"c":{"d":{}}}}})"), "deeper than 4 levels");
  refused_header(safetensors_bytes(R"({"a":{"shape":[],"data_offsets":[0,0]}})"), "has no dtype");
  refused_header(safetensors_bytes(R"({"a":{"dtype":"F32","data_offsets":[0,0]}})"),
                 "has no shape");
  refused_header(safetensors_bytes(R"({"a":{"dtype":"F32","shape":[0]}})"), "has no data_offsets");
}

TEST_CASE("types, shapes and places that cannot be are refused") {
  for (const char* dtype : {"\"f32\"", "\"\"", "3", "null", "[\"F32\"]"})
    refused_header(safetensors_bytes(one(dtype, "[0]", "[0,0]")), "unknown dtype");
  for (const char* shape : {"2", "[-1]", "[1.0]", "[\"1\"]", "null", "[[1]]", "{}", "[true]",
                            "[9223372036854775808]", "[18446744073709551616]"})
    refused_header(safetensors_bytes(one("\"F32\"", shape, "[0,0]")), "shape is");
  for (const char* offsets :
       {"0", "[]", "[0]", "[0,0,0]", "[-1,0]", "[0.0,0]", "[\"0\",0]", "null"})
    refused_header(safetensors_bytes(one("\"F32\"", "[0]", offsets)), "data_offsets is");
  refused_header(safetensors_bytes(one("\"F32\"", "[1]", "[4,0]"), "1234"),
                 "data_offsets is [4, 0]");
  refused_header(safetensors_bytes(one("\"F32\"", "[1]", "[0,5]"), "1234"),
                 "within the 4 bytes of data");
  refused_header(safetensors_bytes(one("\"F32\"", "[1]", "[0,18446744073709551615]"), "1234"),
                 "within");
  refused_header(safetensors_bytes(one("\"F32\"", "[2]", "[0,4]"), "1234"),
                 "span 4 bytes, expected 8");
  refused_header(safetensors_bytes(one("\"F4\"", "[3]", "[0,1]"), "1"), "do not fill whole bytes");
  // Products that wrap around to a small number.
  refused_header(safetensors_bytes(one("\"F32\"", "[4294967296,4294967296]", "[0,0]")),
                 "is too large");
  refused_header(safetensors_bytes(one("\"U8\"", "[2305843009213693952]", "[0,0]")),
                 "is too large");
  refused_header(safetensors_bytes(one("\"U8\"", "[9223372036854775807,2,0]", "[0,0]")),
                 "is too large");
}

TEST_CASE("tensors that overlap or leave holes are refused") {
  const auto two = [](const std::string& a, const std::string& b) {
    return safetensors_bytes(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":)" + a +
                                 R"(},"b":{"dtype":"U8","shape":[2],"data_offsets":)" + b + "}}",
                             "12345");
  };
  refused_header(two("[0,2]", "[1,3]"), "tensor \"b\" begins at 1, expected 2");
  refused_header(two("[0,2]", "[0,2]"), "tensors may neither overlap nor leave holes");
  refused_header(two("[0,2]", "[3,5]"), "tensor \"b\" begins at 3, expected 2");
  refused_header(two("[1,3]", "[3,5]"), "tensor \"a\" begins at 1, expected 0");
  refused_header(two("[2,4]", "[0,2]"), "the tensors end at 4, but there are 5 bytes");
}

TEST_CASE("nothing is allocated for what a header merely claims") {
  const std::string bytes =
      safetensors_bytes(one("\"F32\"", "[1000000000,1000]", "[0,4000000000000]"), "1234");
  const auto taken = allocations_of(
      [&] { CHECK_THROWS_AS(read_safetensors_header(test::as_bytes(bytes), "f"), FileError); });
  CHECK(taken.bytes < 100'000);
}

TEST_CASE("names in messages show what cannot be seen") {
  const std::string header =
      R"({"a\n\u001b[31m\u200b":{"dtype":"F99","shape":[],"data_offsets":[0,0]}})";
  refused_header(safetensors_bytes(header), R"(tensor "a\n\x1b[31m\u200b": unknown dtype "F99")");
}

TEST_CASE("a header of many tensors is read in proportion to them") {
  // Hours, if the parser looked at all of them again for each.
  std::string header = "{";
  for (int i = 0; i < 200'000; ++i)
    header +=
        message(i > 0 ? "," : "", "\"t", i, R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})");
  const std::string bytes = safetensors_bytes(header + "}");
  CHECK(read_safetensors_header(test::as_bytes(bytes), "f").tensors.size() == 200'000);
}
