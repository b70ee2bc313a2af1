// Gradients by finite differences, the ways of spending memory, threads, and allocations.
#include <atomic>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "models/bert/check_gradients.hpp"
#include "models/bert/golden_bert.hpp"
#include "support/allocations.hpp"
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

TEST_CASE("recomputed activations give the same bits from less memory") {
  const GoldenBatch batch;
  for (const models::Tuning& tuning :
       {models::Tuning(all_linear(0.1)), models::Tuning(models::FullTuning{}),
        models::Tuning(models::LastLayers{1})}) {
    BertOptions options = with_dropout(tuning);
    models::BertForSequenceClassification<float> kept(bert_data("tiny"), options);
    options.recompute_activations = true;
    models::BertForSequenceClassification<float> recomputed(bert_data("tiny"), options);
    randomise(kept);
    randomise(recomputed);
    BertTape<float> kept_tape, recomputed_tape;
    Matrix<float> logits, dlogits;
    for (int repeat = 0; repeat < 2; ++repeat)
      CHECK(test::step(kept, batch, kept_tape, logits, dlogits) ==
            test::step(recomputed, batch, recomputed_tape, logits, dlogits));
    const auto expected = kept.parameters();
    const auto parameters = recomputed.parameters();
    REQUIRE(parameters.size() == expected.size());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      CAPTURE(parameters[i]->name);
      CHECK(same_bits(parameters[i]->grad, expected[i]->grad));
    }
    CHECK(recomputed_tape.random_state() == kept_tape.random_state());
    // One (N, D) a layer stays of 5 (N, D) and an (N, M) at least.
    CHECK(2 * recomputed_tape.bytes_kept() < kept_tape.bytes_kept());
    CHECK(recomputed_tape.bytes() <
          kept_tape.bytes() + recomputed_tape.buffers.layer(models::ReadRows::all).kept.bytes() +
              recomputed_tape.buffers.layer(models::ReadRows::first).kept.bytes() +
              recomputed_tape.again.bytes());
  }
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

TEST_CASE("several threads may run one model at once", "[threads]") {
  const GoldenBatch batch;
  const models::BertForSequenceClassification<float> model(bert_data("tiny"));
  Matrix<float> expected;
  model.forward(batch.tokens, expected);
  std::atomic<int> same = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      models::BertBuffers<float> buffers;
      Matrix<float> logits;
      for (int repeat = 0; repeat < 5; ++repeat) {
        model.forward(batch.tokens, buffers, logits);
        if (same_bits(logits, expected)) ++same;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(same == 20);
}

TEST_CASE("a second step allocates nothing") {
  const GoldenBatch batch;
  const test::Threads scope(test::countable_threads(2));
  for (const bool recompute : {false, true}) {
    for (const models::Tuning& tuning :
         {models::Tuning(all_linear(0.1)), models::Tuning(models::FullTuning{}),
          models::Tuning(models::BottleneckAdapters{3}), models::Tuning(models::LastLayers{1})}) {
      BertOptions options = with_dropout(tuning);
      options.recompute_activations = recompute;
      models::BertForSequenceClassification<float> model(bert_data("tiny"), options);
      BertTape<float> tape;
      models::BertBuffers<float> buffers;
      Matrix<float> logits, dlogits;
      const auto step = [&] {
        static_cast<void>(test::step(model, batch, tape, logits, dlogits));
        model.forward(batch.tokens, buffers, logits);
      };
      step();
      step();
      CHECK(test::allocations_of(step).count == 0);
    }
  }
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
  models::BertBuffers<float> narrow_buffers, wide_buffers;
  Matrix<float> expected, logits;
  model.forward(batch.tokens, narrow_buffers, expected);
  model.forward(wide, wide_buffers, logits);
  CHECK(same_bits(logits, expected));
  CHECK(wide_buffers.bytes() == narrow_buffers.bytes());
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

TEST_CASE("training for a pooler keeps of the last layer what its first tokens need") {
  const GoldenBatch batch;
  const BertOptions options = with_dropout(all_linear());
  models::BertForSequenceClassification<float> texts(bert_data("tiny"), options);
  models::BertForTokenClassification<float> tokens(bert_data("tiny"), options);
  BertTape<float> texts_tape, tokens_tape;
  Matrix<float> logits, dlogits;
  static_cast<void>(test::step(texts, batch, texts_tape, logits, dlogits));
  static_cast<void>(test::step(tokens, batch, tokens_tape, logits, dlogits));
  const auto& last = texts_tape.layers.back();
  const Index all = tokens_tape.layers.back().attended.rows();
  CHECK(last.attended.rows() == batch.tokens.ids.rows());
  CHECK(last.inner.rows() == batch.tokens.ids.rows());
  CHECK(last.qkv[0].rows() == batch.tokens.ids.rows());
  CHECK(last.qkv[1].rows() == all);
  CHECK(texts_tape.bytes_kept() < tokens_tape.bytes_kept());
}
