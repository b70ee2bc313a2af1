#include "examples/text_generation/train.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "examples/text_generation/commands.hpp"
#include "examples/text_generation/demo.hpp"
#include "examples/text_generation/tiny_model.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"
#include "support/whole_file.hpp"

using namespace textgen;
using lora::test::check_throws;
using lora::test::TemporaryDirectory;

namespace {

struct TinyRun {
  TinyRun() {
    lora::test::write_tiny_llama(folder / "m.gguf");
    common.model = (folder / "m.gguf").string();
    training.out = (folder / "out").string();
    training.rank = 2;
    training.max_length = 48;
    training.learning_rate = 0.02;
    training.data = (folder / "t.txt").string();
    std::ofstream file(folder / "t.txt");
    for (int i = 0; i < 60; ++i) file << "the same words again and again; ";
  }

  [[nodiscard]] std::string train(bool resume = false) {
    training.resume = resume;
    std::ostringstream out, errors;
    train_command<Llama>(common, training, out, errors, false);
    return out.str() + errors.str();
  }

  TemporaryDirectory folder;
  Common common;
  TrainOptions training;
};

}  // namespace

TEST_CASE("training lowers perplexity, and its adapters give it back from their files") {
  TinyRun run;
  run.training.epochs = 3;
  const std::string report = run.train();
  CAPTURE(report);
  CHECK(report.find("train\ndata:  ") != std::string::npos);
  CHECK(report.find("perplexity") != std::string::npos);
  CHECK(std::filesystem::exists(peft_folder(run.training) / "adapter_model.safetensors"));
  CHECK(std::filesystem::exists(gguf_file(run.training)));
  CHECK(lora::test::read_whole(std::filesystem::path(run.training.out) / "metrics.jsonl").size() >
        100);

  double off[2] = {}, on[2] = {};
  int at = 0;
  for (const auto& adapter : {peft_folder(run.training), gguf_file(run.training)}) {
    run.common.adapter = adapter.string();
    auto language = load_adapted<Llama>(run.common);
    const Samples samples = read_samples(run.training.data, language, false, 48);
    off[at] = base_perplexity(language.model, samples);
    on[at++] = perplexity(language.model, samples);
  }
  CHECK(off[0] == off[1]);
  CHECK(on[0] == Approx(on[1]).epsilon(1e-5));
  CHECK(on[0] < 0.6 * off[0]);
  std::ostringstream out;
  perplexity_command<Llama>(run.common, run.training, out);
  CHECK(out.str().find("adapter off  ") == 0);
}

TEST_CASE("a run with DoRA leaves an adapter for PEFT and says why there is none for llama.cpp") {
  TinyRun run;
  static_cast<void>(run.train());
  run.training.dora = true;
  const std::string report = run.train();
  CHECK(report.find("is adapted with DoRA") != std::string::npos);
  CHECK(!std::filesystem::exists(gguf_file(run.training)));
  run.common.adapter = peft_folder(run.training).string();
  auto language = load_adapted<Llama>(run.common);
  CHECK(language.model.adapted_layers().front().config().use_dora);
  const Samples samples = read_samples(run.training.data, language, false, 48);
  CHECK(perplexity(language.model, samples) < base_perplexity(language.model, samples));
}

TEST_CASE("a language model's run goes on from its checkpoint to the same bits") {
  TinyRun whole, broken;
  whole.training.epochs = broken.training.epochs = 2;
  static_cast<void>(whole.train());
  broken.training.epochs = 2;
  broken.training.checkpoint_every = 1;
  // A run of the same settings that was stopped: its first steps, from the file it left.
  static_cast<void>(broken.train());
  static_cast<void>(broken.train(true));
  const auto weights = [](const TinyRun& run) {
    return lora::test::read_whole(peft_folder(run.training) / "adapter_model.safetensors");
  };
  CHECK(weights(broken) == weights(whole));
  broken.training.rank = 3;
  check_throws<lora::ConfigError>([&] { static_cast<void>(broken.train(true)); }, "rank");
}

TEST_CASE("whoever chats is answered line by line, and a model without chats says so") {
  TinyRun run;
  WriteOptions options{.max_new_tokens = 4};
  std::istringstream in("hello\n\nand now?\n");
  std::ostringstream out;
  chat_command<Llama>(run.common, options, in, out);
  const std::string text = out.str();
  CHECK(std::count(text.begin(), text.end(), '\n') >= 3);
  CHECK(text.starts_with("> "));

  options.prompts = {"one", "two"};
  std::ostringstream answers;
  generate_command<Llama>(run.common, options, answers);
  CHECK(answers.str().find("> two\n") != std::string::npos);
}

TEST_CASE("the demonstration shows before, after, what it costs, and what the files give back") {
  TinyRun run;
  std::ofstream jargon(run.folder / "jargon.txt");
  for (int i = 0; i < 30; ++i) jargon << "   :word" << i << ": n.\n\n   A thing of no use.\n\n";
  jargon.close();
  run.training.max_length = 200;
  std::ostringstream out, errors;
  demo<Llama>(run.common, run.training,
              {.jargon = (run.folder / "jargon.txt").string(),
               .untouched = (run.folder / "t.txt").string(),
               .examples = 16},
              {.max_new_tokens = 6}, out, errors, false);
  const std::string text = out.str();
  CAPTURE(text);
  CHECK(text.find("16 texts to train on") != std::string::npos);
  CHECK(text.find("--- before") < text.find("--- after"));
  CHECK(text.find("Jargon File, entries held out") != std::string::npos);
  CHECK(text.find("untouched text") != std::string::npos);
  CHECK(text.find("peft: 18 of 18 tokens are the same") != std::string::npos);
  CHECK(text.find("adapter.gguf: 18 of 18 tokens are the same") != std::string::npos);
}
