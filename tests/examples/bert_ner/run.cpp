#include "examples/bert/run.hpp"

#include <fstream>
#include <sstream>

#include "examples/bert/tiny_model.hpp"
#include "examples/bert_ner/problem.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"

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

TEST_CASE("a tiny BERT finds the names of people and places") {
  const TemporaryDirectory folder;
  write_model(folder / "model");
  std::ofstream file(folder / "sentences.conll");
  for (int i = 0; i < 80; ++i) {
    file << (i % 2 == 0 ? "ada B-PER\n" : "bob B-PER\n") << (i % 3 == 0 ? "sings O\n" : "lives O\n")
         << "in O\n"
         << (i % 4 < 2 ? "new B-LOC\nyork I-LOC\n" : "paris B-LOC\n") << "\n";
  }
  file.close();
  bert::Options options;
  options.model = (folder / "model").string();
  options.out = (folder / "out").string();
  options.rank = 4;
  options.learning_rate = 0.02;
  options.epochs = 6;
  options.batch = 8;
  const auto tokenizer = lora::text::load_bert_tokenizer(options.model);
  const bert::Problem problem = make_problem(folder / "sentences.conll", tokenizer, 32);
  CHECK(problem.classes == std::vector<std::string>{"O", "B-LOC", "B-PER", "I-LOC"});
  std::ostringstream text;
  const bert::Outcome outcome = bert::run<bert::BertTask::token_classification>(
      options, problem, tokenizer, text, text, false);
  CHECK(outcome.test > 90);
  CHECK_THAT(text.str(), ContainsSubstring("4 classes") && ContainsSubstring("test, by type") &&
                             ContainsSubstring("LOC ") && ContainsSubstring("PER "));
  CHECK(lora::peft::read_peft_config(folder / "out/adapter").task_type == "TOKEN_CLS");
  lora::test::check_throws<lora::FileError>(
      [&] { static_cast<void>(make_problem("", tokenizer, 8)); }, "emerging_entities_17");
}
