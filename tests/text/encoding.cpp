#include <lora/text/encoding.hpp>

#include <vector>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::text;

namespace {

// [CLS] a ##b c [SEP], of the words 0, 0 and 2; word 1 left nothing.
Encoding sample() {
  Encoding encoding;
  encoding.push_back(101, 0, -1, {});
  encoding.push_back(1, 0, 0, {0, 1});
  encoding.push_back(2, 0, 0, {1, 2});
  encoding.push_back(3, 0, 2, {0, 1});
  encoding.push_back(102, 0, -1, {});
  return encoding;
}

}  // namespace

TEST_CASE("a word's label stands at its first token alone") {
  const Encoding encoding = sample();
  CHECK(first_tokens(encoding, 4) == std::vector<Index>{1, -1, 3, -1});
  const std::vector<int> labels{7, 8, 9};
  CHECK(token_labels(encoding, labels) == std::vector<int>{-100, 7, -100, 9, -100});
  CHECK(token_labels(encoding, std::vector<int>{7}, -1) == std::vector<int>{-1, 7, -1, -1, -1});
}

TEST_CASE("truncating keeps the first tokens of all four lists") {
  Encoding encoding = sample();
  encoding.truncate(9);
  CHECK(encoding.size() == 5);
  encoding.truncate(3);
  CHECK(encoding.ids == std::vector{101, 1, 2});
  CHECK(encoding.type_ids.size() == 3);
  CHECK(encoding.words == std::vector<Index>{-1, 0, 0});
  CHECK(encoding.offsets.back() == Span{1, 2});
  encoding.truncate(0);
  CHECK(encoding.size() == 0);
}
