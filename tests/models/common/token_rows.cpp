#include <lora/models/common/token_rows.hpp>

#include "support/catch.hpp"

using namespace lora;
using models::ReadRows;
using models::TokenRows;

TEST_CASE("a block computes all rows of a batch, or each text's first") {
  text::TokenBatch tokens{Matrix<int>::Ones(2, 3), Matrix<int>::Zero(2, 3),
                          Matrix<int>::Ones(2, 3)};
  tokens.attention_mask(1, 2) = 0;
  const models::PackedBatch batch(tokens);
  const TokenRows all{&batch, ReadRows::all}, first{&batch, ReadRows::first};
  CHECK(all.all());
  CHECK(all.count() == 5);
  CHECK(&all.queries() == &all.keys());
  CHECK(!first.all());
  CHECK(first.count() == 2);
  CHECK(first.keys().rows() == 5);
}
