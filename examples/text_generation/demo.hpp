#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <filesystem>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "jargon.hpp"
#include "load_adapted.hpp"
#include "train.hpp"
#include "writer.hpp"

namespace textgen {

using Answers = std::vector<std::vector<int>>;

namespace detail {

inline void print_answers(const Language& language, const WriteOptions& options,
                          const Answers& tokens, std::ostream& out) {
  for (std::size_t i = 0; i < tokens.size(); ++i)
    out << "\n> " << options.prompts[i] << '\n' << language.tokenizer.decode(tokens[i]) << '\n';
}

// The share of tokens that are the same, from the first on.
[[nodiscard]] inline std::string agreement(const Answers& a, const Answers& b) {
  std::size_t same = 0, all = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const auto differ = std::mismatch(a[i].begin(), a[i].end(), b[i].begin(), b[i].end());
    same += static_cast<std::size_t>(differ.first - a[i].begin());
    all += std::max(a[i].size(), b[i].size());
  }
  return std::to_string(same) + " of " + std::to_string(all) + " tokens are the same";
}

}  // namespace detail

/// Adapts a model to write entries of the Jargon File, and shows what it wrote before and writes
/// after, what that costs it elsewhere, and that its adapters come back from their files.
template <class Family>
void demo(const Common& common, const TrainOptions& training, const DemoOptions& options,
          WriteOptions writing, std::ostream& out, std::ostream& errors, bool terminal) {
  if (writing.prompts.empty())
    writing.prompts = {question("merge conflict"), question("yak shaving"), question("cargo cult")};
  std::vector<lora::data::PromptCompletion> entries = read_jargon(options.jargon);
  // What is asked is not learnt.
  std::erase_if(entries, [&](const auto& entry) {
    return std::find(writing.prompts.begin(), writing.prompts.end(), entry.prompt) !=
           writing.prompts.end();
  });
  Answers after;
  {
    auto language = load_to_train<Family>(common, training);
    Parts parts =
        split(samples_of(entries, language, false, training.max_length), training.held_out);
    const auto most = static_cast<std::size_t>(options.examples);
    if (parts.train.texts.size() > most) {
      parts.train.texts.resize(most);
      parts.train.lengths.resize(most);
    }
    if (parts.held_out.texts.size() > most / 8 + 1) {
      parts.held_out.texts.resize(most / 8 + 1);
      parts.held_out.lengths.resize(most / 8 + 1);
    }
    const Samples untouched = options.untouched.empty() ? Samples()
                                                        : read_samples(options.untouched, language,
                                                                       false, training.max_length);

    const Answers before = answers(language, writing);
    train(common, training, language, parts, out, errors, terminal);
    after = answers(language, writing);
    out << "\n--- before: the model as it came\n";
    detail::print_answers(language, writing, before, out);
    out << "\n--- after: with its adapter, same prompts, same seed\n";
    detail::print_answers(language, writing, after, out);

    examples::Table table({"perplexity", "adapter off", "adapter on"});
    const auto add = [&](const std::string& name, const Samples& samples) {
      table.add({name, examples::fixed(base_perplexity(language.model, samples), 2),
                 examples::fixed(perplexity(language.model, samples), 2)});
    };
    add("Jargon File, entries held out", parts.held_out);
    if (untouched.size() > 0) add("untouched text", untouched);
    out << "\n";
    table.print(out);
  }
  out << "\nthe adapters, loaded again:\n";
  for (const auto& file : {peft_folder(training), gguf_file(training)}) {
    if (!std::filesystem::exists(file)) continue;  // what llama.cpp cannot hold
    Common again = common;
    again.adapter = file.string();
    out << "  " << file.string() << ": "
        << detail::agreement(after, answers(load_adapted<Family>(again), writing)) << '\n';
  }
}

}  // namespace textgen
