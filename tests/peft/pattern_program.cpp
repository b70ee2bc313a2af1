#include <lora/peft/pattern_program.hpp>

#include <lora/peft/name_pattern_parser.hpp>

#include "support/catch.hpp"

using namespace lora::peft::detail;

namespace {

PatternProgram program(const char* pattern) { return NamePatternParser(pattern).parse(); }

}  // namespace

TEST_CASE("what has one length is known, whatever the ways through it") {
  for (const char* pattern :
       {"", "a", "ab|cd", "a{3}", "(?:a|b)c", "^a$", "(?=a*)b", "(^)*a", "\\w."})
    CHECK(has_one_length(program(pattern).steps));
  for (const char* pattern : {"a*", "a|bc", "a?", "a{1,2}", "(|a)", "(?:ab|c)*"})
    CHECK_FALSE(has_one_length(program(pattern).steps));
}

TEST_CASE("a program counts its steps and those of its lookarounds") {
  CHECK(program("abc").size() == 4);  // and the match
  CHECK(program("a(?=bc)").size() == 6);
  CHECK(program("(?:(?=bc)a){3}").looks.size() == 1);  // shared by the copies
  CHECK(program("\\w{100}").sets.size() == 1);
}
