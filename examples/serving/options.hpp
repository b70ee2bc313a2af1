#pragma once

#include <CLI/CLI.hpp>
#include <lora/core/matrix.hpp>
#include <string>
#include <vector>

#include "../support/number_options.hpp"

namespace serving {

using lora::Index;

/// What the program is asked for.
struct Options {
  std::string model = {};                  ///< a folder in Hugging Face's layout, or a GGUF file
  std::vector<std::string> adapters = {};  ///< "name=folder" each
  std::string adapters_dir = {};           ///< whose subfolders are adapters
  std::string requests = "-";              ///< a file of JSON lines; "-": standard input
  Index batch = 8;                         ///< requests that are computed together, at most
  Index context = 512;                     ///< tokens of a prompt and its answer, at most
  Index prompt_tokens = 256;               ///< of prompts in one step, at most
  Index max_tokens = 64;                   ///< of an answer whose request does not say it
  Index queue = 1024;                      ///< requests that are read ahead
  double poll = 1;                         ///< seconds between looks at the folders; 0: none
  bool as_finished = false;                ///< answers in the order in which they are finished
  int threads = 1;
};

inline void add_options(CLI::App& app, Options& options) {
  app.add_option("--model", options.model,
                 "folder of a Llama, Mistral, Qwen2, Qwen3, SmolLM2 or GPT-2 in Hugging Face's "
                 "layout, or a GGUF file of one")
      ->required();
  app.add_option("--adapter", options.adapters,
                 "name=folder of an adapter in PEFT's layout; may be given several times");
  app.add_option("--adapters-dir", options.adapters_dir,
                 "folder whose subfolders are adapters in PEFT's layout, called as they are");
  app.add_option("--requests", options.requests, "file of requests, a line of JSON each; -: stdin")
      ->capture_default_str();
  app.add_option("--batch", options.batch, "requests that are computed together")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  app.add_option("--context", options.context,
                 "tokens of a prompt and its answer, which the memory of each place in the batch "
                 "has room for")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  app.add_option("--prompt-tokens", options.prompt_tokens,
                 "tokens of prompts in one step: few keep the steps of answers short")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--max-tokens", options.max_tokens, "of an answer whose request does not say it")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_option("--queue", options.queue, "requests that are read before their turn comes")
      ->check(CLI::Range(1, 1 << 24))
      ->capture_default_str();
  app.add_option("--poll", options.poll,
                 "seconds from one look at the adapters' folders to the next; 0: on SIGHUP alone")
      ->check(examples::number_from(0, 86400))
      ->capture_default_str();
  app.add_flag("--as-finished", options.as_finished,
               "answers come as they are finished, not in the order of the requests");
  app.add_option("--threads", options.threads, "of the computation")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
}

}  // namespace serving
