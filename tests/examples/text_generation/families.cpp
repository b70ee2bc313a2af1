#include "examples/text_generation/families.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <type_traits>

#include "examples/text_generation/commands.hpp"
#include "examples/text_generation/tiny_gpt2.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace textgen;
using lora::test::check_throws;
using lora::test::TemporaryDirectory;

namespace {

bool is_gpt2(const std::filesystem::path& model) {
  bool is = false;
  with_family(model.string(), [&]<class Family>(Family) { is = std::is_same_v<Family, GPT2>; });
  return is;
}

// The commands as main.cpp calls them, with a GPT-2.
struct FamilyRun {
  FamilyRun() {
    const lora::test::TinyGPT2 model;
    model.write_folder(folder / "model");
    model.write_gguf(folder / "m.gguf");
    training.out = (folder / "out").string();
    training.data = (folder / "t.txt").string();
    training.rank = 2;
    training.max_length = 48;
    training.learning_rate = 0.02;
    training.epochs = 2;
    std::ofstream file(folder / "t.txt");
    for (int i = 0; i < 40; ++i) file << "the same words again and again; ";
  }

  [[nodiscard]] std::string perplexity(const std::string& model, const std::string& adapter) {
    common = {.model = (folder / model).string(), .adapter = adapter};
    std::ostringstream out;
    perplexity_command<GPT2>(common, training, out);
    return out.str();
  }

  TemporaryDirectory folder;
  Common common;
  TrainOptions training;
};

}  // namespace

TEST_CASE("a program's family is the one that the model says") {
  const std::filesystem::path golden(LORA_GOLDEN_DIR);
  CHECK(is_gpt2(golden / "gpt2" / "gpt2"));
  CHECK(is_gpt2(golden / "gpt2_gguf" / "plain.gguf"));
  CHECK(!is_gpt2(golden / "llama" / "mistral"));
  CHECK(!is_gpt2(golden / "gguf" / "tied.gguf"));
  check_throws<lora::FileError>([] { static_cast<void>(is_gpt2("nowhere")); },
                                "nowhere/config.json: cannot open");
}

TEST_CASE("a GPT-2 trains, writes and is measured alike from its folder and from its GGUF") {
  FamilyRun run;
  const std::string before = run.perplexity("model", "");
  CHECK(run.perplexity("m.gguf", "") == before);
  std::string written[2];
  int at = 0;
  for (const std::string model : {"model", "m.gguf"}) {
    CAPTURE(model);
    run.common = {.model = (run.folder / model).string()};
    std::ostringstream out, errors;
    train_command<GPT2>(run.common, run.training, out, errors, false);
    CAPTURE(out.str());
    CHECK(out.str().starts_with("model: gpt2, 2 layers, 16 wide, "));
    CHECK(out.str().find("adapter.gguf (llama.cpp, --lora)") != std::string::npos);
    const std::string on = run.perplexity(model, peft_folder(run.training).string());
    CHECK(on.find("adapter off  " + before) == 0);
    CHECK(run.perplexity(model, gguf_file(run.training).string()) == on);
    CHECK(std::stod(on.substr(on.find("on   ") + 5)) < 0.8 * std::stod(before));
    run.common.adapter = gguf_file(run.training).string();
    std::ostringstream text;
    generate_command<GPT2>(run.common, {.prompts = {"the same"}, .max_new_tokens = 8}, text);
    CHECK(text.str().size() > 1);
    written[at++] = text.str();
  }
  CHECK(written[0] == written[1]);
}

// This GGUF is float32: nothing is rounded, and nothing copied.
TEST_CASE("a GPT-2 over its file's own numbers learns and writes what one in memory does") {
  FamilyRun run;
  run.common = {.model = (run.folder / "m.gguf").string()};
  const auto report = [&]<class Family>(Family) {
    std::ostringstream out, errors;
    train_command<Family>(run.common, run.training, out, errors, false);
    Common adapted = run.common;
    adapted.adapter = peft_folder(run.training).string();
    std::ostringstream text;
    generate_command<Family>(adapted, {.prompts = {"the same"}, .max_new_tokens = 8}, text);
    const std::string perplexities = out.str().substr(out.str().rfind("perplexity of"));
    return perplexities + text.str();
  };
  CHECK(report(GPT2Family<lora::BlockWeight<float>>()) ==
        report(GPT2Family<lora::PackedWeight<float>>()));
}

TEST_CASE("a GPT-2 without a chat template says so to whoever would chat") {
  FamilyRun run;
  for (const std::string model : {"model", "m.gguf"}) {
    run.common = {.model = (run.folder / model).string()};
    std::istringstream in("hello\n");
    std::ostringstream out;
    check_throws<lora::ConfigError>([&] { chat_command<GPT2>(run.common, {}, in, out); },
                                    model + ": comes without a chat template");
  }
}
