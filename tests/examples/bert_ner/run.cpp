#include "examples/bert/run.hpp"

#include <fstream>
#include <sstream>

#include "examples/bert/tiny_model.hpp"
#include "examples/bert_ner/problem.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/whole_file.hpp"

using namespace ner;
using Catch::Matchers::ContainsSubstring;
using lora::test::TemporaryDirectory;

namespace {

void write_model(const std::filesystem::path& folder) {
  lora::test::write_tiny_model(
      folder, {"ada", "##m", "lives", "in", "new", "york", "paris", "bob", "sings", "there"});
}

}  // namespace

TEST_CASE("a word has the tag of its first token, and O where it was cut off") {
  const TemporaryDirectory folder;
  write_model(folder.path());
  const auto tokenizer = lora::text::load_bert_tokenizer(folder.path());
  const std::vector<std::string> tags{"O", "B-PER"};
  const std::vector<TaggedSentence> sentences{
      {{"adam", "lives", "in", "paris"}, {"B-PER", "O", "B-LOC", "O"}}};
  const bert::Texts texts = encode(sentences, tags, tokenizer, 5);
  // [CLS] ada ##m lives [SEP]
  CHECK(texts.lengths == std::vector<bert::Index>{5});
  CHECK(texts.labels[0] == std::vector<int>{-100, 1, -100, 0, -100});
  CHECK(word_tags(texts.encodings[0], 4, {0, 1, 0, 1, 0}, tags) ==
        std::vector<std::string>{"B-PER", "B-PER", "O", "O"});
  CHECK(entity_score(texts, tags, {{0, 1, 0, 0, 1}}).overall().f1() == Approx(2.0 / 3));
}

namespace {

// A tiny model, sentences with the names of people and places, and how to run on them.
struct TinyNames {
  TinyNames() {
    write_model(folder / "model");
    std::ofstream file(folder / "sentences.conll");
    for (int i = 0; i < 80; ++i) {
      file << (i % 2 == 0 ? "ada B-PER\n" : "bob B-PER\n")
           << (i % 3 == 0 ? "sings O\n" : "lives O\n") << "in O\n"
           << (i % 4 < 2 ? "new B-LOC\nyork I-LOC\n" : "paris B-LOC\n") << "\n";
    }
    options.model = (folder / "model").string();
    options.data = (folder / "sentences.conll").string();
    options.out = (folder / "out").string();
    options.rank = 4;
    options.learning_rate = 0.02;
    options.epochs = 6;
    options.batch = 8;
  }

  bert::Outcome run() {
    const auto tokenizer = lora::text::load_bert_tokenizer(options.model);
    const bert::Problem problem = make_problem(options.data, tokenizer, options.max_length);
    return bert::run<bert::BertTask::token_classification>(options, problem, tokenizer, text, text,
                                                           false);
  }

  TemporaryDirectory folder;
  bert::Options options;
  std::ostringstream text;
};

}  // namespace

TEST_CASE("a tiny BERT finds the names of people and places") {
  TinyNames tiny;
  const bert::Outcome outcome = tiny.run();
  CHECK(outcome.test > 90);
  CHECK_THAT(tiny.text.str(), ContainsSubstring("4 classes") &&
                                  ContainsSubstring("test, by type") && ContainsSubstring("LOC ") &&
                                  ContainsSubstring("PER "));
  CHECK(lora::peft::read_peft_config(tiny.folder / "out/adapter").task_type == "TOKEN_CLS");
  lora::test::check_throws<lora::FileError>(
      [&] {
        tiny.options.data.clear();
        tiny.run();
      },
      "emerging_entities_17");
}

TEST_CASE("a run is not resumed with another setting, adapter, base or data") {
  TinyNames tiny;
  tiny.options.epochs = 2;
  tiny.run();
  const auto refuse = [&](const auto& change, const std::string& what) {
    const bert::Options kept = tiny.options;
    tiny.options.resume = true;
    change(tiny.options);
    lora::test::check_throws<lora::ConfigError>([&] { tiny.run(); },
                                                "checkpoint.safetensors: is of a run with " + what);
    tiny.options = kept;
  };
  using O = bert::Options;
  refuse([](O& o) { o.learning_rate = 0.01; }, "learning_rate = 0.02, expected this one's 0.01");
  refuse([](O& o) { o.alpha = 4; }, "alpha = 8.0, expected this one's 4.0");
  refuse([](O& o) { o.dropout = 0; }, "dropout = 0.1, expected this one's 0.0");
  refuse([](O& o) { o.base_dropout = 0.5; }, "base_dropout = null, expected this one's 0.5");
  refuse([](O& o) { o.max_length = 16; }, "max_length = 128, expected this one's 16");
  refuse([](O& o) { o.rank = 2; }, "rank = 4, expected this one's 2");
  refuse([](O& o) { o.targets = {"key"}; }, "target_modules = [\"query\",\"value\"]");
  refuse([](O& o) { o.seed = 9; }, "seed = 1, expected this one's 9");
  refuse([](O& o) { o.batch = 4; }, "batch = 8, expected this one's 4");
  refuse([](O& o) { o.epochs = 3; }, "epochs = 2, expected this one's 3");
  refuse([](O& o) { o.weight_decay = 0; }, "weight_decay = 0.01, expected this one's 0.0");
  refuse([](O& o) { o.warmup = 0; }, "warmup = 0.1, expected this one's 0.0");

  // Another sentence; another base of the same shape; the same ones, which go on.
  const std::string data = lora::test::read_whole(tiny.options.data);
  std::ofstream(tiny.options.data) << data << "ada B-PER\nsings O\n\n";
  refuse([](O&) {}, "training data = ");
  std::ofstream(tiny.options.data) << data;
  const auto weights = tiny.folder / "model/model.safetensors";
  std::string bytes = lora::test::read_whole(weights);
  bytes[bytes.size() - 1] = static_cast<char>(bytes[bytes.size() - 1] ^ 1);
  std::ofstream(weights, std::ios::binary) << bytes;
  refuse([](O&) {}, "base model = ");
  bytes[bytes.size() - 1] = static_cast<char>(bytes[bytes.size() - 1] ^ 1);
  std::ofstream(weights, std::ios::binary) << bytes;
  tiny.options.resume = true;
  CHECK(tiny.run().history.steps.empty());
}
