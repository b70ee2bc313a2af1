#include <lora/text/encoding.hpp>

#include <vector>

#include <lora/text/token_batch.hpp>
#include <lora/text/truncation.hpp>

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

TEST_CASE("encodings are padded to one length") {
  Encoding one;
  one.push_back(5, 1, 0, {});
  const std::vector<Encoding> encodings{sample(), one, {}};
  const TokenBatch batch = pad(encodings, {.pad_id = 9, .pad_type_id = 3, .length = 6});
  Matrix<int> ids(3, 6), types(3, 6), mask(3, 6);
  ids << 101, 1, 2, 3, 102, 9, 5, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9;
  types << 0, 0, 0, 0, 0, 3, 1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3;
  mask << 1, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0;
  CHECK(batch.ids == ids);
  CHECK(batch.type_ids == types);
  CHECK(batch.attention_mask == mask);
  CHECK(pad(encodings, {.multiple_of = 4}).ids.cols() == 8);
  CHECK(pad(encodings, {.length = 2}).ids.cols() == 5);
  CHECK(pad({}, {}).ids.size() == 0);
  CHECK_THROWS_AS(pad(encodings, {.multiple_of = 0}), ConfigError);
  CHECK_THROWS_AS(pad(encodings, {.length = -1}), ConfigError);
}

TEST_CASE("the longer text is truncated first") {
  using Lengths = std::pair<std::size_t, std::size_t>;
  CHECK(truncate_longest_first(3, 4, 7) == Lengths{3, 4});
  CHECK(truncate_longest_first(3, 9, 8) == Lengths{3, 5});
  CHECK(truncate_longest_first(9, 3, 8) == Lengths{5, 3});
  CHECK(truncate_longest_first(6, 9, 7) == Lengths{3, 4});
  CHECK(truncate_longest_first(9, 6, 7) == Lengths{4, 3});
  CHECK(truncate_longest_first(9, 9, 0) == Lengths{0, 0});
  for (std::size_t a = 0; a < 12; ++a)
    for (std::size_t b = 0; b < 12; ++b)
      for (std::size_t room = 0; room < 26; ++room) {
        const auto [first, second] = truncate_longest_first(a, b, room);
        CAPTURE(a, b, room);
        CHECK(first <= a);
        CHECK(second <= b);
        CHECK(first + second == std::min(a + b, room));
      }
}
