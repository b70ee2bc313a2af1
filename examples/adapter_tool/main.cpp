// Looks at LoRA adapters and makes others of them.
//
//     adapter_tool inspect my-adapter
//     adapter_tool combine french code --weights 1,0.5 --out both
//     adapter_tool extract --base base --tuned tuned --rank 16 --out difference
//     adapter_tool merge my-adapter --base base --out merged
//     adapter_tool convert my-adapter --base base --out my-adapter.gguf
//
// Adapters are folders as PEFT writes them, models folders in Hugging Face's layout. What is
// written appears as a whole or not at all.

#include <CLI/CLI.hpp>
#include <iostream>

#include "../support/run_program.hpp"
#include "commands.hpp"

int main(int argc, char** argv) {
  using namespace adaptertool;
  Options options;
  CLI::App app{"Looks at LoRA adapters, combines, resizes, extracts, merges and converts them"};
  app.require_subcommand(1);
  app.add_option("--threads", options.threads, "results are the same for any number")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();

  CLI::App* inspect = app.add_subcommand("inspect", "prints ranks, scales, norms, and what is odd");
  add_adapter(*inspect, options, " or a GGUF file");
  inspect->add_flag("--all", options.all, "lists every module");

  CLI::App* verify =
      app.add_subcommand("verify", "fails where an adapter is damaged or does not fit");
  add_adapter(*verify, options);
  verify->add_option("--base", options.base, "folder of the model that it has to fit");

  CLI::App* combine = app.add_subcommand("combine", "makes one adapter of several");
  add_combination(*combine, options);
  add_decomposition(*combine, options);
  add_out(*combine, options, "folder of the new adapter");
  add_dtype(*combine, options);

  CLI::App* resize = app.add_subcommand("resize", "changes ranks, losing as little as can be");
  add_adapter(*resize, options);
  add_choice(*resize, options);
  add_out(*resize, options, "folder of the new adapter");
  add_dtype(*resize, options);

  CLI::App* extract =
      app.add_subcommand("extract", "makes an adapter of a model's difference to its base");
  extract->add_option("--base", options.base, "folder of the base model")->required();
  extract->add_option("--tuned", options.tuned, "folder of the model tuned from it")->required();
  add_choice(*extract, options);
  add_decomposition(*extract, options);
  extract->add_flag("--embeddings", options.embeddings, "extracts embeddings too");
  extract->add_option("--prefix", options.prefix,
                      "before the files' names, where the adapted model has it: transformer.");
  add_out(*extract, options, "folder of the new adapter");
  add_dtype(*extract, options);

  CLI::App* merge = app.add_subcommand("merge", "writes a base model with an adapter in it");
  add_adapter(*merge, options);
  merge->add_option("--base", options.base, "folder of the base model")->required();
  merge->add_option("--weight", options.weight, "of the adapter; -1 takes a merged one out again")
      ->check(examples::finite_number())
      ->capture_default_str();
  add_out(*merge, options, "folder of the new model, which must not be there");

  CLI::App* convert = app.add_subcommand("convert", "turns PEFT's form into llama.cpp's, or back");
  add_adapter(*convert, options, ", or a GGUF file");
  convert
      ->add_option("--base", options.base,
                   "folder or GGUF file of the base model, a Llama or a GPT-2")
      ->required();
  add_out(*convert, options, "GGUF file of the new adapter, or its folder");
  add_dtype(*convert, options);

  CLI11_PARSE(app, argc, argv);
  return examples::run_program("adapter_tool", options.threads, [&] {
    if (inspect->parsed()) return run_inspect(options, std::cout);
    if (verify->parsed()) return run_verify(options, std::cout);
    if (combine->parsed()) return run_combine(options, std::cout);
    if (resize->parsed()) return run_resize(options, std::cout);
    if (convert->parsed()) return run_convert(options, std::cout);
    if (extract->parsed()) return run_extract(options, std::cout, std::cerr);
    return run_merge(options, std::cout, std::cerr);
  });
}
