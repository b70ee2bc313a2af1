#include <lora/models/common/causal_batch.hpp>

#include <vector>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;
using models::CausalBatch;

TEST_CASE("a causal batch packs texts, of a padded batch those of its mask") {
  const std::vector<int> ids{5, 6, 7, 8}, lengths{1, 3};
  const CausalBatch batch(ids, lengths);
  CHECK(batch.tokens() == 4);
  CHECK(batch.sequences().size() == 2);
  text::TokenBatch padded;
  padded.ids.resize(2, 3);
  padded.attention_mask.resize(2, 3);
  padded.ids << 0, 0, 5, 6, 7, 8;
  padded.attention_mask << 0, 0, 1, 1, 1, 1;
  const CausalBatch same(padded);
  CHECK(same.ids() == batch.ids());
  CHECK(same.sequences().layout() == batch.sequences().layout());
}

TEST_CASE("a causal batch refuses texts that do not fit, and stays as it was") {
  CausalBatch batch(std::vector<int>{1, 2}, std::vector<int>{2});
  const auto refused = [&](std::vector<int> ids, std::vector<int> lengths, const char* part) {
    check_throws<ShapeError>([&] { batch.assign(ids, lengths); }, part);
  };
  refused({1, 2}, {1}, "2 ids, expected the 1 tokens of all texts");
  refused({1}, {1, 0}, "text 1 has 0 tokens, expected at least 1");
  text::TokenBatch padded;
  padded.ids = Matrix<int>::Zero(1, 2);
  padded.attention_mask = Matrix<int>::Zero(1, 2);
  check_throws<ShapeError>([&] { batch.assign(padded); }, "text 0 has 0 tokens");
  padded.attention_mask(0, 1) = 2;
  check_throws<ShapeError>([&] { batch.assign(padded); }, "attention_mask(0, 1) is 2");
  padded.attention_mask.resize(1, 1);
  check_throws<ShapeError>([&] { batch.assign(padded); }, "attention_mask is (1, 1)");
  CHECK(batch.tokens() == 2);
  check_throws<ShapeError>([&] { batch.require(2, 5, "here"); },
                           "here: id 1 is 2, expected a token in [0, 2)");
  check_throws<ShapeError>([&] { batch.require(5, 1, "here"); },
                           "text 0 of the batch has 2 tokens, expected at most 1");
}
