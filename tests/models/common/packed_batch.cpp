#include <lora/models/common/packed_batch.hpp>

#include <vector>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::models;

namespace {

// Three texts of at most four columns: all of it, the middle, nothing.
text::TokenBatch sample_batch() {
  text::TokenBatch batch{Matrix<int>(3, 4), Matrix<int>::Zero(3, 4), Matrix<int>(3, 4)};
  batch.ids << 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9;
  batch.type_ids(1, 2) = 1;
  batch.attention_mask << 1, 1, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0;
  return batch;
}

}  // namespace

TEST_CASE("a packed batch is a batch without its padding, at the same positions") {
  PackedBatch packed;
  packed.assign(sample_batch());
  CHECK(packed.ids() == std::vector{1, 2, 3, 4, 6, 7});
  CHECK(packed.type_ids() == std::vector{0, 0, 0, 0, 0, 1});
  CHECK(packed.positions() == std::vector{0, 1, 2, 3, 1, 2});
  CHECK(packed.sequences().rows() == 6);
  CHECK(packed.sequences(ReadRows::first).rows() == 2);
}

TEST_CASE("first tokens are taken and given back") {
  PackedBatch packed;
  packed.assign(sample_batch());
  Matrix<double> x(6, 1), y(2, 1);
  x << 1, 2, 3, 4, 5, 6;
  packed.take_first_tokens<double>(x, y);
  CHECK(y(0, 0) == 1);
  CHECK(y(1, 0) == 5);
  packed.add_to_first_tokens<double>(y, x);
  CHECK(x(0, 0) == 2);
  CHECK(x(1, 0) == 2);
  CHECK(x(4, 0) == 10);
}

TEST_CASE("a text that is longer than the model's positions is named with its length") {
  PackedBatch packed;
  text::TokenBatch batch = sample_batch();
  packed.assign(batch);
  CHECK_NOTHROW(packed.require_positions(4, "Model"));
  CHECK_THROWS_WITH(
      packed.require_positions(3, "Model"),
      "Model: text 0 of the batch has 4 tokens, expected at most max_position_embeddings = "
      "3; text::EncodeOptions::max_length truncates");
  // Padding needs no position behind a text, but counts before it, as in transformers.
  batch.attention_mask.row(0).setZero();
  packed.assign(batch);
  CHECK_NOTHROW(packed.require_positions(3, "Model"));
  CHECK_THROWS_AS(packed.require_positions(2, "Model"), ShapeError);
}

TEST_CASE("a text that begins with padding is named, and one without tokens is none") {
  PackedBatch packed;
  text::TokenBatch batch = sample_batch();
  packed.assign(batch);
  CHECK_THROWS_WITH(packed.require_first_columns("Model"),
                    "Model: text 1 of the batch begins with padding, where its first token is "
                    "expected: pad on the right");
  batch.attention_mask(1, 0) = 1;
  packed.assign(batch);
  CHECK_NOTHROW(packed.require_first_columns("Model"));
}

TEST_CASE("a batch whose matrices do not fit is refused") {
  PackedBatch packed;
  text::TokenBatch batch = sample_batch();
  batch.attention_mask(1, 1) = 2;
  CHECK_THROWS_WITH(packed.assign(batch),
                    "PackedBatch: element 5 of attention_mask is 2, expected 0 or 1");
  batch.attention_mask.resize(3, 3);
  CHECK_THROWS_AS(packed.assign(batch), ShapeError);
}

TEST_CASE("labels are packed as their tokens are") {
  Matrix<int> labels(3, 4);
  labels << 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11;
  std::vector<int> packed{99};
  pack_labels(labels, sample_batch(), packed);
  CHECK(packed == std::vector{0, 1, 2, 3, 5, 6});
  CHECK_THROWS_AS(pack_labels(Matrix<int>(2, 4), sample_batch(), packed), ShapeError);
}
