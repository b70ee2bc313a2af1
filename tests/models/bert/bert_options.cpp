#include <lora/models/bert/bert_options.hpp>

#include <string>
#include <vector>

#include "models/bert/golden_bert.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using lora::test::bert_data;
using lora::test::check_throws;
using lora::test::GoldenBatch;

TEST_CASE("options and batches that do not fit are refused, and change nothing") {
  const auto refused = [](const models::BertOptions& options, const std::string& part) {
    check_throws<ConfigError>(
        [&] {
          const models::BertForSequenceClassification<float> model(bert_data("tiny"), options);
        },
        part);
  };
  refused({.labels = 0}, "labels is 0");
  refused({.hidden_dropout = 1.0}, "hidden_dropout is 1");
  refused({.attention_dropout = -1.0}, "attention_dropout is -1");
  refused({.classifier_dropout = 2.0}, "classifier_dropout is 2");
  refused({.tuning = models::LastLayers{3}}, "count is 3");
  refused({.tuning = models::BottleneckAdapters{0}}, "features is 0");
  peft::PeftConfig config;
  config.target_modules = std::vector<std::string>{"nothing"};
  refused({.tuning = config}, "selects no module");
  config.target_modules = std::vector<std::string>{"query"};
  config.r = 1025;
  refused(
      {.tuning = config},
      "the rank of \"bert.encoder.layer.0.attention.self.query\" is 1025, expected at most 1024");
  config.r = 8;
  config.target_modules = std::vector<std::string>{"LayerNorm"};
  refused({.tuning = config}, "cannot be adapted");

  const GoldenBatch batch;
  models::BertForSequenceClassification<float> model(bert_data("tiny"),
                                                     {.tuning = models::FullTuning{}});
  models::BertTape<float> tape;
  Matrix<float> logits, d = Matrix<float>::Zero(4, 3);
  const auto wrong = [&](const auto& change, const std::string& part) {
    text::TokenBatch tokens = batch.tokens;
    change(tokens);
    check_throws<ShapeError>([&] { model.forward(tokens, logits); }, part);
    check_throws<ShapeError>([&] { model.forward(tokens, tape, logits); }, part);
  };
  wrong([](auto& tokens) { tokens.type_ids.resize(4, 9); }, "type_ids is (4, 9)");
  wrong([](auto& tokens) { tokens.attention_mask.resize(3, 10); }, "attention_mask is (3, 10)");
  wrong([](auto& tokens) { tokens.attention_mask(1, 1) = 2; }, "attention_mask is 2");
  wrong([](auto& tokens) { tokens.ids(0, 0) = 50; }, "word_embeddings is 50");
  wrong([](auto& tokens) { tokens.ids(0, 0) = -1; }, "word_embeddings is -1");
  wrong([](auto& tokens) { tokens.type_ids(0, 0) = 2; }, "token_type_embeddings is 2");
  text::TokenBatch longer{Matrix<int>::Zero(1, 13), Matrix<int>::Zero(1, 13),
                          Matrix<int>::Ones(1, 13)};
  check_throws<ShapeError>([&] { model.forward(longer, logits); }, "max_position_embeddings = 12");
  check_throws<StateError>([&] { model.backward(d, tape); }, "tape is empty");
  model.forward(batch.tokens, tape, logits);
  d.resize(4, 2);
  d.setOnes();
  check_throws<ShapeError>([&] { model.backward(d, tape); }, "dy is (4, 2)");
  for (const Parameter<float>* parameter : model.parameters()) CHECK(parameter->grad.isZero());
  check_throws<StateError>([&] { model.save_adapter("/nowhere"); }, "no LoRA adapters");
  std::vector<int> packed;
  check_throws<ShapeError>([&] { models::pack_labels(longer.ids, batch.tokens, packed); },
                           "per_token is (1, 13)");
}
