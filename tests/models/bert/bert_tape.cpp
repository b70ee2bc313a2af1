// What memory training takes.
#include <lora/models/bert/bert_tape.hpp>

#include <string>

#include "models/bert/check_gradients.hpp"
#include "models/bert/golden_bert.hpp"
#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using lora::test::all_linear;
using lora::test::bert_data;
using lora::test::GoldenBatch;
using lora::test::randomise;
using lora::test::same_bits;
using lora::test::with_dropout;
using models::BertOptions;
using models::BertTape;

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
    CHECK(recomputed_tape.bytes() < kept_tape.bytes() + recomputed_tape.again.bytes());
  }
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
      const models::PackedBatch packed(batch.tokens);
      Matrix<float> logits, dlogits;
      const auto step = [&] {
        static_cast<void>(test::step(model, batch, tape, logits, dlogits));
        model.forward(packed, logits);
      };
      step();
      step();
      CHECK(test::allocations_of(step).count == 0);
    }
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
  // The rows of q, context, h and y (D = 32 columns) and of what the activation sees (M = 48), in
  // one layer of two, and of whatever the adapters and norms keep there.
  const auto spared = static_cast<std::size_t>((batch.tokens.attention_mask.sum() - 4) *
                                               (4 * 32 + 48) * Index{sizeof(float)});
  CHECK(texts_tape.bytes_kept() + spared < tokens_tape.bytes_kept() + 4 * 3 * 32 * sizeof(float));
}
