#include <lora/text/token_batch.hpp>

#include <vector>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::text;

TEST_CASE("encodings are padded to one length") {
  Encoding first, one;
  for (const int id : {101, 1, 2, 3, 102}) first.push_back(id, 0, -1, {});
  one.push_back(5, 1, 0, {});
  const std::vector<Encoding> encodings{first, one, {}};
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
