#pragma once

#include <filesystem>
#include <iostream>
#include <istream>
#include <lora/core/printable.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "load_adapted.hpp"
#include "train.hpp"
#include "writer.hpp"

namespace textgen {

/// Adapts a model to the texts of options.data; `ranks` as for train.
template <class Family, class Ranks = examples::OneProcess>
void train_command(const Common& common, const TrainOptions& options, std::ostream& out,
                   std::ostream& errors, bool terminal, const Ranks& ranks = {}) {
  auto language = load_to_train<Family>(common, options);
  const Parts parts = split(read_samples(options.data, language, options.plain, options.max_length),
                            options.held_out);
  const double before = ranks.leads() ? perplexity(language.model, parts.held_out) : 0;
  train(common, options, language, parts, out, errors, terminal, ranks);
  if (!ranks.leads()) return;
  out << "perplexity of what was held out: " << examples::fixed(before, 2) << " before, "
      << examples::fixed(perplexity(language.model, parts.held_out), 2) << " after\n";
}

/// Answers the prompts, one after the other.
template <class Family>
void generate_command(const Common& common, const WriteOptions& options, std::ostream& out) {
  const auto language = load_adapted<Family>(common);
  const auto show = [&](std::string_view text) { out << text << std::flush; };
  for (const std::string& prompt : options.prompts) {
    if (options.prompts.size() > 1) out << "> " << prompt << '\n';
    write(language, language.prompt_tokens(prompt, options.plain), options, show);
    out << '\n';
  }
}

/// Talks with whoever writes lines into `in`, until they end.
template <class Family>
void chat_command(const Common& common, const WriteOptions& options, std::istream& in,
                  std::ostream& out) {
  const auto language = load_adapted<Family>(common);
  if (!language.chat)
    throw lora::ConfigError(common.model +
                            ": comes without a chat template; generate --plain "
                            "goes on from a text");
  std::vector<lora::text::ChatMessage> messages;
  std::string line;
  for (out << "> " << std::flush; std::getline(in, line); out << "> " << std::flush) {
    if (line.empty()) continue;
    messages.push_back({"user", line});
    std::string answer;
    write(language, language.render(messages, true).ids, options, [&](std::string_view text) {
      answer += text;
      out << text << std::flush;
    });
    out << '\n';
    messages.push_back({"assistant", answer});
  }
  out << '\n';
}

/// Measures the perplexity of a file, with the adapter off and on.
template <class Family>
void perplexity_command(const Common& common, const TrainOptions& options, std::ostream& out) {
  auto language = load_adapted<Family>(common);
  const Samples samples = read_samples(options.data, language, options.plain, options.max_length);
  if (common.adapter.empty() && common.adapters.empty()) {
    out << examples::fixed(perplexity(language.model, samples), 3) << '\n';
    return;
  }
  out << "adapter off  " << examples::fixed(base_perplexity(language.model, samples), 3) << '\n'
      << "adapter on   " << examples::fixed(perplexity(language.model, samples), 3) << '\n';
}

}  // namespace textgen
