// Adapts a language model with LoRA, has it write and talk, and measures it.
//
// Reads Llama, Mistral, Qwen, SmolLM2 and GPT-2 from folders in Hugging Face's layout or from GGUF
// files; writes adapters for PEFT and for llama.cpp. text_generation --help lists the commands;
// README.md has figures.

#include <CLI/CLI.hpp>
#include <lora/frozen/block_weight.hpp>
#include <lora/frozen/four_bit_weight.hpp>
#include <lora/frozen/half_weight.hpp>
#include <lora/frozen/int8_weight.hpp>
#include <lora/frozen/packed_weight.hpp>

#include "../support/progress_bar.hpp"
#include "../support/run_program.hpp"
#include "jargon.hpp"
#include "request.hpp"

namespace {

// Calls what weights_*.cpp have.
void run(const textgen::Request& request) {
  const std::string& weights = request.common.weights;
  if (weights == "packed") return textgen::run<lora::PackedWeight<float>>(request);
  if (weights == "int8") return textgen::run<lora::Int8Weight<float>>(request);
  if (weights == "nf4") return textgen::run<lora::NF4Weight<float>>(request);
  if (weights == "file") return textgen::run<lora::BlockWeight<float>>(request);
  textgen::run<lora::HalfWeight<float>>(request);
}

}  // namespace

int main(int argc, char** argv) {
  textgen::Request request;
  auto& [command, common, training, writing, demo, terminal] = request;
  CLI::App app{"Adapts a language model with LoRA, has it write, and measures it"};
  app.require_subcommand(1);

  CLI::App* train = app.add_subcommand("train", "adapts a model to texts, or to answers");
  textgen::add_common(*train, common, false);
  textgen::add_data(*train, training);
  textgen::add_training(*train, training);
  train
      ->add_option("--checkpoint-every", training.checkpoint_every,
                   "steps from one checkpoint to the next within an epoch [its end alone]")
      ->check(CLI::Range(1, 1000000000));
  train->add_flag("--resume", training.resume, "go on from the checkpoint in --out");

  CLI::App* generate = app.add_subcommand("generate", "answers prompts");
  textgen::add_common(*generate, common, true);
  generate->add_option("--prompt", writing.prompts, "may be given several times")->required();
  generate->add_option("--stop", writing.stop, "a text that ends an answer");
  generate->add_option("--seed", writing.seed, "of drawn tokens")->capture_default_str();
  generate->add_flag("--plain", writing.plain, "goes on from the prompt as a text, not as a chat");
  textgen::add_writing(*generate, writing);

  CLI::App* chat = app.add_subcommand("chat", "answers what is typed, line by line");
  textgen::add_common(*chat, common, true);
  chat->add_option("--seed", writing.seed, "of drawn tokens")->capture_default_str();
  textgen::add_writing(*chat, writing);

  CLI::App* perplexity = app.add_subcommand("perplexity", "measures how well a text is foreseen");
  textgen::add_common(*perplexity, common, true);
  textgen::add_data(*perplexity, training);
  perplexity->add_option("--max-length", training.max_length, "tokens of a text")
      ->check(CLI::Range(8, 1 << 20))
      ->capture_default_str();

  CLI::App* show = app.add_subcommand("demo", "all of it, with entries of the Jargon File");
  show->footer(textgen::how_to_get_the_jargon_file);
  textgen::add_common(*show, common, false);
  show->add_option("--jargon", demo.jargon, "the Jargon File, as plain text")->required();
  show->add_option("--untouched", demo.untouched, "a text of another kind, to see forgetting");
  show->add_option("--examples", demo.examples, "entries that are trained on, at most")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  show->add_option("--prompt", writing.prompts, "what is asked, once or several times");
  textgen::add_training(*show, training);
  textgen::add_writing(*show, writing);

  CLI11_PARSE(app, argc, argv);
  terminal = examples::error_output_is_terminal();
  using textgen::Command;
  command = *train        ? Command::train
            : *generate   ? Command::generate
            : *chat       ? Command::chat
            : *perplexity ? Command::perplexity
                          : Command::demo;
  return examples::run_program("text_generation", common.threads, [&] {
    run(request);
    return true;
  });
}
