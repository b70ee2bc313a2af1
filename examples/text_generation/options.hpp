#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <lora/core/matrix.hpp>
#include <optional>
#include <string>
#include <vector>

#include "../support/adapter_options.hpp"
#include "../support/number_options.hpp"

namespace textgen {

using lora::Index;

/// What every command is asked for.
struct Common {
  std::string model = {};    ///< a folder in Hugging Face's layout, or a GGUF file
  std::string adapter = {};  ///< a folder in PEFT's layout, or a GGUF file; empty: the base alone
  std::vector<std::string> adapters = {};  ///< several at once, "path" or "path:weight" each
  std::string weights = "bf16";  ///< how the base is kept: packed, bf16, int8, nf4 or file
  int threads = 1;
};

/// How a model is adapted.
struct TrainOptions : examples::AdapterOptions {
  TrainOptions() {
    dropout = 0.05;
    targets = {"all-linear"};
  }

  std::string data = {};  ///< JSON lines of prompts and completions, or any text
  std::string out = "text-adapter";
  Index max_length = 256;
  double held_out = 10;  ///< percent of the texts
  bool recompute = false;
  bool plain = false;  ///< prompts are no turns of a chat
};

/// How a model writes; what is left out is the model's own setting.
struct WriteOptions {
  std::vector<std::string> prompts = {};
  Index max_new_tokens = 128;
  bool greedy = false;
  std::optional<double> temperature = {};
  std::optional<Index> top_k = {};
  std::optional<double> top_p = {};
  std::optional<double> min_p = {};
  std::optional<double> repetition_penalty = {};
  std::vector<std::string> stop = {};
  std::uint64_t seed = 1;
  bool plain = false;  ///< prompts are no turns of a chat
};

/// What the demonstration is asked for beside TrainOptions and WriteOptions.
struct DemoOptions {
  std::string jargon = {};     ///< the Jargon File as plain text
  std::string untouched = {};  ///< a text of another kind
  Index examples = 500;        ///< entries that are trained on, at most
};

inline void add_common(CLI::App& app, Common& common, bool adapter) {
  app.add_option("--model", common.model,
                 "folder of a Llama, Mistral, Qwen2, Qwen3, SmolLM2 or GPT-2 in Hugging Face's "
                 "layout, or a GGUF file of one")
      ->required();
  if (adapter) {
    auto* one =
        app.add_option("--adapter", common.adapter, "folder in PEFT's layout, or a GGUF file");
    app.add_option("--adapters", common.adapters,
                   "several, whose updates are added: french,code:0.5 counts half of the second")
        ->delimiter(',')
        ->excludes(one);
  }
  app.add_option("--weights", common.weights,
                 "how the base is kept: packed (float32), bf16, int8, nf4, or file, which looks at "
                 "the file's own numbers")
      ->check(CLI::IsMember({"packed", "bf16", "int8", "nf4", "file"}))
      ->capture_default_str();
  app.add_option("--threads", common.threads, "results are the same for any number")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str();
}

inline void add_training(CLI::App& app, TrainOptions& options) {
  app.add_option("--out", options.out, "folder for adapters, checkpoint and metrics")
      ->capture_default_str();
  examples::add_adapter_options(
      app, options,
      {.examples = "texts", .targets = "q_proj,v_proj (c_attn of GPT-2)", .score = "perplexity"});
  app.add_option("--max-length", options.max_length, "tokens of a text")
      ->check(CLI::Range(8, 1 << 20))
      ->capture_default_str();
  app.add_option("--held-out", options.held_out,
                 "percent of the texts that are not trained on: perplexity is theirs")
      ->check(examples::number_from(1, 90))
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of start values, order, dropout and drawn tokens")
      ->capture_default_str();
  app.add_flag("--recompute", options.recompute,
               "computes each layer's activations again in backward: slower, and less memory");
}

inline void add_data(CLI::App& app, TrainOptions& options) {
  app.add_option("--data", options.data,
                 "JSON lines {\"prompt\": ..., \"completion\": ...}, of which completions are "
                 "learnt, or a file of any text")
      ->required();
  app.add_flag("--plain", options.plain, "prompts are text to go on from, no turns of a chat");
}

inline void add_writing(CLI::App& app, WriteOptions& options) {
  app.add_option("--max-new-tokens", options.max_new_tokens, "of an answer")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  app.add_flag("--greedy", options.greedy, "takes the likeliest token each time");
  app.add_option("--temperature", options.temperature, "draws tokens; logits are divided by it")
      ->check(examples::positive_number_up_to(100));
  app.add_option("--top-k", options.top_k, "draws from the likeliest tokens; 0: from all")
      ->check(CLI::Range(0, 1 << 30));
  app.add_option("--top-p", options.top_p, "draws from the likeliest with this probability")
      ->check(examples::number_from(0, 1));
  app.add_option("--min-p", options.min_p, "draws from those this times as likely as the likeliest")
      ->check(examples::number_from(0, 1));
  app.add_option("--repetition-penalty", options.repetition_penalty, "1: none")
      ->check(examples::positive_number_up_to(100));
}

}  // namespace textgen
