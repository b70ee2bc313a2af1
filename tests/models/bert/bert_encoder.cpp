// Gradients by finite differences, threads, and padding.
#include <lora/models/bert/bert_encoder.hpp>

#include <string>
#include <utility>
#include <vector>

#include "models/bert/check_gradients.hpp"
#include "models/bert/golden_bert.hpp"
#include "support/catch.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using lora::test::all_linear;
using lora::test::bert_data;
using lora::test::check_gradients;
using lora::test::GoldenBatch;
using lora::test::randomise;
using lora::test::same_bits;
using lora::test::with_dropout;
using models::BertOptions;
using models::BertTape;
using models::BertTask;

TEST_CASE("gradients of every tuning are those of finite differences, with dropout") {
  check_gradients<BertTask::sequence_classification>(with_dropout(all_linear(0.25)));
  check_gradients<BertTask::sequence_classification>(with_dropout(models::FullTuning{}));
  check_gradients<BertTask::sequence_classification>(with_dropout(models::HeadOnly{}));
  check_gradients<BertTask::sequence_classification>(with_dropout(models::LastLayers{1}));
  check_gradients<BertTask::sequence_classification>(with_dropout(models::BottleneckAdapters{3}));
  check_gradients<BertTask::token_classification>(with_dropout(models::BottleneckAdapters{3}));
  peft::PeftConfig tokens = all_linear();
  tokens.target_modules = std::vector<std::string>{"query", "output.dense"};
  tokens.task_type = "TOKEN_CLS";
  tokens.bias = "all";
  check_gradients<BertTask::token_classification>(with_dropout(tokens));
}

TEST_CASE("training gives the same bits for any number of threads") {
  const GoldenBatch batch;
  std::vector<std::vector<Matrix<float>>> gradients;
  for (const int threads : {1, 2, 3}) {
    const test::Threads scope(threads);
    models::BertForTokenClassification<float> model(bert_data("tiny"),
                                                    with_dropout(models::FullTuning{}));
    BertTape<float> tape;
    Matrix<float> logits, dlogits;
    static_cast<void>(test::step(model, batch, tape, logits, dlogits));
    auto& all = gradients.emplace_back();
    for (const Parameter<float>* parameter : model.parameters()) all.push_back(parameter->grad);
    all.push_back(logits);
  }
  for (const auto& other : gradients)
    for (std::size_t i = 0; i < other.size(); ++i) CHECK(same_bits(other[i], gradients[0][i]));
}

TEST_CASE("padding costs nothing and changes nothing") {
  const GoldenBatch batch;
  const models::BertForSequenceClassification<float> model(bert_data("tiny"));
  // Two more columns of padding, with ids that no table has: nobody looks at them.
  text::TokenBatch wide{Matrix<int>::Constant(4, 12, 1'000'000), Matrix<int>::Constant(4, 12, -1),
                        Matrix<int>::Zero(4, 12)};
  wide.ids.leftCols(10) = batch.tokens.ids;
  wide.type_ids.leftCols(10) = batch.tokens.type_ids;
  wide.attention_mask.leftCols(10) = batch.tokens.attention_mask;
  Matrix<float> expected, logits;
  model.forward(batch.tokens, expected);
  model.forward(wide, logits);
  CHECK(same_bits(logits, expected));
  BertTape<float> narrow_tape, wide_tape;
  model.forward(batch.tokens, narrow_tape, logits);
  model.forward(wide, wide_tape, logits);
  CHECK(wide_tape.bytes() == narrow_tape.bytes());
}

TEST_CASE("a text without tokens has the logits of an empty hidden state, and the others theirs") {
  const GoldenBatch batch;
  models::BertForSequenceClassification<float> model(bert_data("tiny"),
                                                     with_dropout(models::FullTuning{}));
  text::TokenBatch with_empty{Matrix<int>::Zero(5, 10), Matrix<int>::Zero(5, 10),
                              Matrix<int>::Zero(5, 10)};
  for (const Index row : {0, 1, 2, 3}) {
    const Index to = row < 2 ? row : row + 1;  // the third text is empty
    with_empty.ids.row(to) = batch.tokens.ids.row(row);
    with_empty.type_ids.row(to) = batch.tokens.type_ids.row(row);
    with_empty.attention_mask.row(to) = batch.tokens.attention_mask.row(row);
  }
  Matrix<float> expected, logits, empty;
  model.forward(batch.tokens, expected);
  model.forward(with_empty, logits);
  CHECK(same_bits(logits.topRows(2), expected.topRows(2)));
  CHECK(same_bits(logits.bottomRows(2), expected.bottomRows(2)));
  model.forward({Matrix<int>::Zero(1, 1), Matrix<int>::Zero(1, 1), Matrix<int>::Zero(1, 1)}, empty);
  CHECK(empty.allFinite());
  // Alone, its row takes the kernel of one row, which sums in another order.
  CHECK(test::largest_difference(logits.row(2), empty) < 1e-5);

  BertTape<float> tape;
  Matrix<float> dlogits = Matrix<float>::Ones(5, logits.cols());
  model.forward(with_empty, tape, logits);
  model.backward(dlogits, tape);
  for (const Parameter<float>* parameter : model.parameters()) {
    CAPTURE(parameter->name);
    CHECK(parameter->grad.allFinite());
  }
}
