// Models as they come from other people's programs: tests/golden/cases. Numbers are of transformers
// 5.24 with peft 0.21.2.
#include <filesystem>

#include "models/bert/golden_bert.hpp"
#include "support/catch.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using lora::test::check_throws;

namespace {

using Sentiment = models::BertForSequenceClassification<float>;

std::filesystem::path case_path(const std::string& name) {
  return std::filesystem::path(LORA_GOLDEN_DIR) / "cases" / name;
}

// The ids 2 5 6 3, `left` columns of padding before them.
text::TokenBatch one_text(Index left = 0) {
  const Index length = 4 + left;
  text::TokenBatch batch{Matrix<int>::Zero(1, length), Matrix<int>::Zero(1, length),
                         Matrix<int>::Zero(1, length)};
  batch.ids.rightCols(4) << 2, 5, 6, 3;
  batch.attention_mask.rightCols(4).setOnes();
  return batch;
}

models::BertOptions lora_saving(std::vector<std::string> whole) {
  peft::PeftConfig config;
  config.target_modules = std::vector<std::string>{"query", "value"};
  config.task_type = "SEQ_CLS";
  config.modules_to_save = std::move(whole);
  return {.tuning = config, .seed = 3};
}

}  // namespace

TEST_CASE("an adapter that stores the pooler whole brings it to a base that has none") {
  const auto adapter = case_path("base-without-pooler/adapter");
  Sentiment model(case_path("base-without-pooler/base"),
                  {.tuning = peft::read_peft_config(adapter)});
  model.load_adapter(adapter);
  Matrix<float> logits;
  model.forward(one_text(), logits);
  REQUIRE(logits.size() == 2);
  CHECK(logits(0, 0) == Approx(0.0922).margin(5e-5));
  CHECK(logits(0, 1) == Approx(-0.1404).margin(5e-5));
}

TEST_CASE("a pooler that no file has starts new where it trains") {
  const auto base = case_path("base-without-pooler/base");
  const auto weight_of = [&](const models::BertOptions& options) {
    Sentiment model(base, options);
    for (Parameter<float>* parameter : model.parameters())
      if (parameter->name == "bert.pooler.dense.weight") return Matrix<float>(parameter->value);
    FAIL("the pooler does not train");
    return Matrix<float>();
  };
  const Matrix<float> weight = weight_of(lora_saving({"pooler"}));
  CHECK(!weight.isZero());
  CHECK(weight.cwiseAbs().maxCoeff() < 0.02F * 6);  // initializer_range
  CHECK(test::same_bits(weight_of(lora_saving({"pooler"})), weight));
  CHECK(!weight_of({.tuning = models::LastLayers{0}}).isZero());
}

TEST_CASE("a pooler that no file has and that does not train is an error with its remedies") {
  const auto base = case_path("base-without-pooler/base");
  const auto refused = [&](const models::BertOptions& options) {
    check_throws<FileError>([&] { Sentiment model(base, options); },
                            "has no \"bert.pooler.dense.weight\"");
    check_throws<FileError>([&] { Sentiment model(base, options); }, "BertPooling::mean");
    check_throws<FileError>([&] { Sentiment model(base, options); },
                            "modules_to_save = {\"pooler\"}");
  };
  refused({});
  refused(lora_saving({}));
  models::BertOptions mean = lora_saving({});
  mean.pooling = models::BertPooling::mean;
  Matrix<float> logits;
  Sentiment(base, mean).forward(one_text(), logits);
  CHECK(logits.allFinite());
}

TEST_CASE("a model without head computes hidden states of a base without pooler") {
  const auto base = case_path("base-without-pooler/base");
  const models::BertModel<float> model(base);
  Matrix<float> hidden;
  model.forward(one_text(), hidden);
  CHECK(hidden.rows() == 4);
  check_throws<StateError>([&] { model.pooler_output(models::PackedBatch(one_text()), hidden); },
                           "the model's files have no pooler");
  peft::PeftConfig config;
  config.target_modules = "all-linear";
  check_throws<FileError>([&] { models::BertModel<float>(base, {.tuning = config}); },
                          "has no \"pooler.dense.weight\"");
}

TEST_CASE("num_labels counts where id2label names fewer, and names where it is left out") {
  const auto labels = [](const std::string& name) {
    models::BertOptions options;
    options.pooling = models::BertPooling::mean;
    const Sentiment model(case_path("num-labels-conflict/" + name), options);
    Matrix<float> logits;
    model.forward(one_text(), logits);
    CHECK(logits.cols() == model.labels());
    return model.labels();
  };
  CHECK(labels("num_labels-5-two-names") == 5);
  CHECK(labels("names-3") == 3);
}

TEST_CASE("a text that begins with padding is refused by a pooler, and computed by other heads") {
  const auto tiny = test::bert_data("tiny");
  const Sentiment pooled(tiny);
  Matrix<float> logits;
  check_throws<ShapeError>([&] { pooled.forward(one_text(2), logits); },
                           "text 0 of the batch begins with padding");
  models::BertTape<float> tape;
  check_throws<ShapeError>([&] { pooled.forward(one_text(2), tape, logits); }, "pad on the right");
  CHECK(tape.empty());
  check_throws<ShapeError>(
      [&] {
        models::BertModel<float>(tiny).pooler_output(models::PackedBatch(one_text(2)), logits);
      },
      "begins with padding");
  Sentiment(tiny, {.pooling = models::BertPooling::mean}).forward(one_text(2), logits);
  CHECK(logits.allFinite());
  models::BertForTokenClassification<float>(tiny).forward(one_text(2), logits);
  CHECK(logits.rows() == 4);
}
