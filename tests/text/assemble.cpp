#include <lora/text/assemble.hpp>

#include <vector>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::text;

namespace {

// Tokens first, first + 1, ... of the words 0, 1, ...
Encoding tokens_from(int first, int count) {
  Encoding encoding;
  for (int i = 0; i < count; ++i)
    encoding.push_back(first + i, 0, i,
                       {static_cast<std::size_t>(i), static_cast<std::size_t>(i + 1)});
  return encoding;
}

}  // namespace

TEST_CASE("the model's own tokens are put around texts, with types and words") {
  const TokenTemplate bert = TokenTemplate::bert(7, 9);
  const Encoding one = tokens_from(20, 2), two = tokens_from(30, 1);
  CHECK(assemble(bert, one, nullptr, {}).ids == std::vector{7, 20, 21, 9});
  const Encoding both = assemble(bert, one, &two, {});
  CHECK(both.ids == std::vector{7, 20, 21, 9, 30, 9});
  CHECK(both.type_ids == std::vector{0, 0, 0, 0, 1, 1});
  CHECK(both.words == std::vector<Index>{-1, 0, 1, -1, 0, -1});
  CHECK(both.offsets[2] == Span{1, 2});
  CHECK(assemble(bert, one, &two, {.add_special_tokens = false}).ids == std::vector{20, 21, 30});
  CHECK(assemble(bert, {}, nullptr, {}).ids == std::vector{7, 9});
}

TEST_CASE("texts are truncated to leave room for the model's own tokens") {
  const TokenTemplate bert = TokenTemplate::bert(7, 9);
  const Encoding one = tokens_from(20, 5), two = tokens_from(30, 2);
  CHECK(assemble(bert, one, nullptr, {.max_length = 4}).ids == std::vector{7, 20, 21, 9});
  CHECK(assemble(bert, one, &two, {.max_length = 7}).ids == std::vector{7, 20, 21, 9, 30, 31, 9});
  CHECK(assemble(bert, one, nullptr, {.max_length = 2}).ids == std::vector{7, 9});
  CHECK_THROWS_WITH(assemble(bert, one, nullptr, {.max_length = 1}),
                    "encode: max_length is 1, expected at least 2, the model's own tokens");
  CHECK(assemble(bert, one, nullptr, {.max_length = 1, .add_special_tokens = false}).size() == 1);
}
