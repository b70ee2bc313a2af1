#include <lora/io/gguf/gguf_metadata.hpp>

#include <cstdint>
#include <limits>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

TEST_CASE("metadata are read by type and range, and refused by name") {
  GgufMetadata metadata("f.gguf");
  CHECK(metadata.insert("text", std::string_view("word")));
  CHECK(!metadata.insert("text", std::int64_t{1}));
  metadata.insert("negative", std::int64_t{-3});
  metadata.insert("large", std::numeric_limits<std::uint64_t>::max());
  metadata.insert("size", std::uint64_t{12});
  metadata.insert("number", 0.5);
  metadata.insert("flag", true);
  metadata.insert("words", GgufList{.type = GgufValueType::text, .texts = {"a", "b"}});
  metadata.insert("numbers", GgufList{.type = GgufValueType::f32, .numbers = {1, 2}});
  CHECK(metadata.text("text") == "word");
  CHECK(metadata.integer("size", 1, 12) == 12);
  CHECK(metadata.integer("negative", -5, 0) == -3);
  CHECK(metadata.number("number") == 0.5);
  CHECK(metadata.flag("flag", false));
  CHECK(metadata.flag("absent", true));
  CHECK(metadata.texts("words").size() == 2);
  CHECK(metadata.numbers("numbers")[1] == 2);
  const auto refused = [](const auto& action, const char* part) {
    check_throws<FileError>([&] { static_cast<void>(action()); }, part);
  };
  refused([&] { return metadata.text("none"); }, "f.gguf: has no key \"none\"");
  refused([&] { return metadata.text("size"); }, "\"size\" is of another type, expected a text");
  refused([&] { return metadata.integer("size", 1, 11); }, "a whole number in [1, 11]");
  refused([&] { return metadata.integer("large", 0, 100); }, "\"large\" is not a whole number");
  refused([&] { return metadata.integer("number", 0, 100); }, "\"number\" is not a whole number");
  refused([&] { return metadata.number("size"); }, "expected a number of type f32");
  refused([&] { return metadata.flag("size", true); }, "expected a truth value");
  refused([&] { return metadata.texts("numbers"); }, "expected a list of texts");
  refused([&] { return metadata.numbers("words"); }, "expected a list of numbers");
  refused([&] { return metadata.numbers("size"); }, "expected a list of numbers");
}

TEST_CASE("the alignment is 32 where no key says another power of two") {
  GgufMetadata metadata("f.gguf");
  CHECK(metadata.alignment() == 32);
  metadata.insert("general.alignment", std::uint64_t{8});
  CHECK(metadata.alignment() == 8);
}
