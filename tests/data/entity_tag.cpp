#include <lora/data/entity_tag.hpp>

#include "support/catch.hpp"

using namespace lora::data;

TEST_CASE("a tag is O, or a mark and a type") {
  CHECK(parse_entity_tag("O")->mark == 'O');
  CHECK(parse_entity_tag("O")->type.empty());
  CHECK(parse_entity_tag("B-ORG")->mark == 'B');
  CHECK(parse_entity_tag("I-creative-work")->type == "creative-work");
  CHECK(parse_entity_tag("B-größe")->type == "größe");
}

TEST_CASE("what is no tag is nothing") {
  for (const char* tag : {"", "o", "B", "B-", "b-ORG", "S-ORG", "E-ORG", "BORG", "O ", "B_ORG"})
    CHECK_FALSE(parse_entity_tag(tag));
}

TEST_CASE("a type has no space and nothing invisible, which would make two of one") {
  for (const char* tag :
       {"B-ORG\u00A0", "B-ORG\u200B", "I-\uFEFFORG", "B-A B", "B-ORG\r", "B-\xFF"})
    CHECK_FALSE(parse_entity_tag(tag));
}
