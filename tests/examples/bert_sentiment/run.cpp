#include "examples/bert/run.hpp"

#include <fstream>
#include <sstream>

#include "examples/bert_sentiment/tiny_task.hpp"
#include "support/catch.hpp"
#include "support/skip.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"

using namespace bert;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr auto task = BertTask::sequence_classification;

// A task, and what a run of it prints.
class TinyTask : public lora::test::TinyTask {
 public:
  Outcome run() {
    text.str("");
    return bert::run<task>(options, problem(), *tokenizer, text, text, false);
  }

  std::ostringstream text;
};

}  // namespace

TEST_CASE("a tiny BERT learns which sentences are positive, and keeps its best adapter") {
  TinyTask tiny;
  const Outcome outcome = tiny.run();
  CHECK(outcome.validation > 90);
  CHECK(outcome.test > 90);
  CHECK_THAT(tiny.text.str(),
             ContainsSubstring("112 sentences to train, 24 to validate, 24 to test") &&
                 ContainsSubstring("epoch 1: loss ") && ContainsSubstring("tokens/s") &&
                 ContainsSubstring("test, same adapter"));

  // What lies in the folder is what was scored, read by a fresh model.
  const auto folder = std::filesystem::path(tiny.options.out) / "adapter";
  lora::models::BertOptions fresh =
      model_options(tiny.options, lora::peft::read_peft_config(folder), 2);
  fresh.seed = 99;
  const Problem problem = tiny.problem();
  Classifier<task> other(
      lora::models::BertForSequenceClassification<float>(tiny.options.model, fresh),
      *tiny.tokenizer, problem, 5, 1);
  other.model().load_adapter(folder);
  CHECK(other.validate() == outcome.validation);
  CHECK(problem.score(problem.test, other.classify(problem.test)) == outcome.test);

  // PEFT's names of what was trained.
  const lora::io::SafetensorsReader file(folder / "adapter_model.safetensors");
  CHECK(file.contains("base_model.model.classifier.weight"));
  CHECK(file.contains("base_model.model.bert.encoder.layer.1.attention.self.value.lora_B.weight"));
  CHECK_FALSE(
      file.contains("base_model.model.bert.encoder.layer.1.attention.self.key.lora_B.weight"));
}

TEST_CASE("an adapter that began with a part of the weights is saved for a fresh model") {
  for (const std::string init : {"pissa", "olora"}) {
    TinyTask tiny;
    tiny.options.init = init;
    const Outcome outcome = tiny.run();
    const auto folder = std::filesystem::path(tiny.options.out) / "adapter";
    const auto config = lora::peft::read_peft_config(folder);
    CHECK(config.r == 2 * tiny.options.rank);
    const Problem problem = tiny.problem();
    Classifier<task> other(lora::models::BertForSequenceClassification<float>(
                               tiny.options.model, model_options(tiny.options, config, 2)),
                           *tiny.tokenizer, problem, 5, 1);
    other.model().load_adapter(folder);
    CHECK(other.validate() == outcome.validation);
    CHECK(problem.score(problem.test, other.classify(problem.test)) == outcome.test);
    tiny.options.record = (tiny / "record").string();
    lora::test::check_throws<lora::ConfigError>([&] { tiny.run(); }, "--record goes with");
  }
}

TEST_CASE("a run that goes on from its checkpoint ends where one without a break does") {
  TinyTask tiny;
  tiny.options.epochs = 4;
  tiny.options.patience = 4;
  const Outcome straight = tiny.run();

  const Problem problem = tiny.problem();
  Classifier<task> first(
      lora::models::BertForSequenceClassification<float>(
          tiny.options.model, model_options(tiny.options, peft_config(tiny.options, "SEQ_CLS"), 2)),
      *tiny.tokenizer, problem, tiny.options.batch, tiny.options.seed);
  struct Killed {};
  tiny.options.out = (tiny / "second").string();
  std::filesystem::create_directories(tiny.options.out);
  auto how = trainer_options(tiny.options);
  how.checkpoint = {tiny / "second/checkpoint.safetensors", 0, run_settings(tiny.options, problem)};
  const lora::train::Observer kill{.epoch_begins =
                                       [](int epoch, std::size_t) {
                                         if (epoch == 3) throw Killed();
                                       },
                                   .epoch_is_done =
                                       [&](const lora::train::EpochResult& epoch) {
                                         if (epoch.best)
                                           first.model().save_adapter(tiny / "second/adapter");
                                       }};
  lora::train::Trainer trainer(first, optimizer(tiny.options, tiny.options.learning_rate), how);
  CHECK_THROWS_AS(trainer.run(kill), Killed);
  tiny.options.resume = true;
  const Outcome resumed = tiny.run();
  REQUIRE(resumed.history.steps.size() * 2 == straight.history.steps.size());
  for (std::size_t i = 0; i < resumed.history.steps.size(); ++i)
    CHECK(resumed.history.steps[i].loss ==
          straight.history.steps[resumed.history.steps.size() + i].loss);
  CHECK(resumed.validation == straight.validation);
  CHECK(resumed.test == straight.test);
}

TEST_CASE("a batch that goes through the model in parts gives the same losses") {
  TinyTask tiny;
  tiny.options.epochs = 1;
  tiny.options.dropout = 0;
  tiny.options.base_dropout = 0;
  const Outcome whole = tiny.run();
  tiny.options.part_size = 3;
  const Outcome parts = tiny.run();
  REQUIRE(whole.history.steps.size() == parts.history.steps.size());
  for (std::size_t i = 0; i < whole.history.steps.size(); ++i)
    CHECK(parts.history.steps[i].loss == Approx(whole.history.steps[i].loss).epsilon(1e-3));
  CHECK(parts.history.steps[0].loss == Approx(whole.history.steps[0].loss).epsilon(1e-6));
}

TEST_CASE("a run on two threads is bit for bit one on a single thread") {
  TinyTask tiny;
  tiny.options.epochs = 1;
  std::vector<Outcome> outcomes;
  for (const int threads : {1, 2}) {
    const lora::test::Threads scope(threads);
    outcomes.push_back(tiny.run());
  }
  const auto &one = outcomes[0].history.steps, &two = outcomes[1].history.steps;
  REQUIRE(one.size() == two.size());
  for (std::size_t i = 0; i < one.size(); ++i) CHECK(one[i].loss == two[i].loss);
}

TEST_CASE("a recorded run says what Python needs to do the same") {
  TinyTask tiny;
  tiny.options.epochs = 2;
  tiny.options.record = (tiny / "record").string();
  const Outcome outcome = tiny.run();
  std::ifstream file(tiny / "record/record.json");
  const auto json = lora::io::Json::parse(file);
  CHECK(json.at("task") == "SEQ_CLS");
  CHECK(json.at("train_texts").size() == 112);
  CHECK(json.at("validation").size() == 2);
  CHECK(json.at("batches").size() == 28);
  CHECK(json.at("losses").size() == 28);
  CHECK(json.at("losses")[0] == outcome.history.steps[0].loss);
  CHECK(json.at("test") == outcome.test);
  CHECK(json.at("options").at("batch") == 8);
  // As it was before the first step.
  const lora::io::SafetensorsReader first(tiny / "record/first/adapter_model.safetensors");
  CHECK(
      first.read<float>("base_model.model.bert.encoder.layer.0.attention.self.query.lora_B.weight")
          .isZero());
}

TEST_CASE("who has no data is told where to get it") {
  const TinyTask tiny;
  lora::test::check_throws<lora::FileError>(
      [&] { static_cast<void>(sentiment::make_problem("", *tiny.tokenizer, 8)); },
      "archive.ics.uci.edu");
}

TEST_CASE("one epoch on real sentences with real weights is well above chance") {
  const auto model = lora::test::folder_or_skip("LORA_MINILM_DIR");
  const auto data = lora::test::folder_or_skip("LORA_DATA_DIR");
  if (!model || !data) return;
  TinyTask run;
  run.options = Options{};
  run.options.model = model->string();
  run.options.data = (*data / "sentiment_sentences").string();
  run.options.out = (run / "real").string();
  run.options.epochs = 1;
  run.options.warmup = 0;
  run.tokenizer = lora::text::load_bert_tokenizer(*model);
  CHECK(run.run().test > 80);
}
