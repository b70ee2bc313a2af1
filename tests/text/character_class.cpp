#include <lora/text/character_class.hpp>

#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <lora/text/decompose.hpp>

#include "support/catch.hpp"
#include "text/golden_text.hpp"

using namespace lora::text;

namespace {

// What the tokenizers say about every code point; see write_characters in the script.
struct Golden {
  std::vector<std::string> flags = std::vector<std::string>(0x110000);
  std::map<char32_t, std::u32string> lower, parts;

  Golden() {
    std::ifstream file(lora::test::text_data / "characters.txt");
    REQUIRE(file);
    std::string line, word;
    while (std::getline(file, line)) {
      std::istringstream words(line);
      std::vector<std::string> fields;
      while (words >> word) fields.push_back(word);
      const auto code = [&](std::size_t i) {
        return static_cast<char32_t>(std::stoul(fields.at(i), nullptr, 16));
      };
      if (fields[0] == "lower" || fields[0] == "parts") {
        auto& to = (fields[0] == "lower" ? lower : parts)[code(1)];
        for (std::size_t i = 2; i < fields.size(); ++i) to.push_back(code(i));
      } else {
        for (char32_t c = code(0); c <= code(1); ++c) flags.at(c) = fields.at(2);
      }
    }
    REQUIRE(lower.size() > 1000);
    REQUIRE(parts.size() > 1000);
  }
};

// Calls function(c) with every code point that UTF-8 can hold.
template <class Function>
void for_every_code_point(const Function& function) {
  for (char32_t c = 0; c < 0x110000; ++c)
    if (c < 0xD800 || c > 0xDFFF) function(c);
}

std::string hex(char32_t c) {
  std::ostringstream out;
  out << "U+" << std::hex << static_cast<unsigned>(c);
  return out.str();
}

}  // namespace

TEST_CASE("every code point has the classes that Hugging Face gives it") {
  const Golden golden;
  // Words of Unicode 17 and later are not held back; see newer_words.
  const bool exact = std::stoi(utf8proc_unicode_version()) <= 16;
  std::string wrong;
  for_every_code_point([&](char32_t c) {
    std::string flags;
    if (is_control(c) && c != 0) flags += 'c';
    if (is_whitespace(c)) flags += 'w';
    if (is_punctuation(c)) flags += 'p';
    if (is_nonspacing_mark(c)) flags += 'm';
    if (is_cjk(c)) flags += 'k';
    if (is_word(c) && (exact || golden.flags[c].ends_with('x'))) flags += 'x';
    if (flags != golden.flags[c]) wrong += hex(c) + " " + flags + " not " + golden.flags[c] + ", ";
  });
  CHECK(wrong.substr(0, 500) == "");
}

TEST_CASE("every code point has Hugging Face's lower case") {
  const Golden golden;
  std::string wrong;
  for_every_code_point([&](char32_t c) {
    const auto found = golden.lower.find(c);
    const char32_t expected = found == golden.lower.end() ? c : found->second.front();
    if (lowercase(c) != expected) wrong += hex(c) + " ";
    if (found != golden.lower.end() && found->second.size() != (c == 0x130 ? 2U : 1U))
      wrong += hex(c) + " is longer ";
  });
  CHECK(wrong.substr(0, 500) == "");
}

TEST_CASE("every code point has Hugging Face's canonical decomposition") {
  const Golden golden;
  std::string wrong;
  for_every_code_point([&](char32_t c) {
    const Character character{c, {3, 7}};
    std::u32string expected(1, c);
    if (const auto found = golden.parts.find(c); found != golden.parts.end()) {
      expected = found->second;
    } else if (c >= 0xAC00 && c <= 0xD7A3) {  // Hangul, by The Unicode Standard, 3.12
      const char32_t index = c - 0xAC00;
      expected = {0x1100 + index / 588, 0x1161 + index % 588 / 28};
      if (index % 28 != 0) expected.push_back(0x11A7 + index % 28);
    }
    std::u32string parts;
    for (const Character& part : decompose(std::span(&character, 1))) {
      parts.push_back(part.value);
      if (part.origin != character.origin) wrong += "origin of ";
    }
    if (parts != expected) wrong += hex(c) + " ";
  });
  CHECK(wrong.substr(0, 500) == "");
}
