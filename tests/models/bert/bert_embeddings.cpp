#include <lora/models/bert/bert_embeddings.hpp>

#include "models/bert/golden_bert.hpp"
#include "support/catch.hpp"

using namespace lora;

TEST_CASE("BERT names a text that is longer than its positions, and computes nothing") {
  models::BertModel<float> model(test::bert_data("tiny"), {});
  const Index positions = model.config().max_position_embeddings;
  text::TokenBatch batch{Matrix<int>::Ones(2, positions + 1), Matrix<int>::Zero(2, positions + 1),
                         Matrix<int>::Ones(2, positions + 1)};
  batch.attention_mask(0, positions) = 0;
  Matrix<float> y = Matrix<float>::Constant(1, 1, 7);
  const std::string expected =
      "BertEmbeddings::forward: text 1 of the batch has 13 tokens, expected at most "
      "max_position_embeddings = 12; text::EncodeOptions::max_length truncates";
  CHECK_THROWS_WITH(model.forward(batch, y), expected);
  models::BertTape<float> tape;
  CHECK_THROWS_WITH(model.forward(batch, tape, y), expected);
  CHECK(y.size() == 1);
  batch.attention_mask(1, positions) = 0;
  CHECK_NOTHROW(model.forward(batch, y));
}
