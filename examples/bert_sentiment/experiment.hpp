#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <lora/text.hpp>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "../bert/run_settings.hpp"
#include "../support/progress_bar.hpp"
#include "../support/table.hpp"
#include "comparison_options.hpp"
#include "learning_rates.hpp"
#include "results_file.hpp"
#include "run_method.hpp"

namespace sentiment {

/// Lists what is compared, for these options.
using MethodsOf = std::function<std::vector<Method>(const bert::Options&)>;

/// What a comparison gave.
struct Comparison {
  std::vector<std::vector<Result>> results = {};  ///< [seed][method]
  std::vector<Trial> trials = {};                 ///< of methods with several learning rates
};

/// Returns the texts on which the base's behaviour is looked at: some 300 of the file's, joined by
/// spaces, or the test sentences.
[[nodiscard]] inline bert::Texts untouched_texts(const std::string& file,
                                                 const bert::Problem& problem,
                                                 const lora::text::BertTokenizer& tokenizer,
                                                 Index max_length) {
  if (file.empty()) return problem.test;
  constexpr std::size_t enough = 300;  // spread over the whole file
  const auto sentences = lora::data::read_conll(file);
  const std::size_t every = std::max<std::size_t>(1, sentences.size() / enough);
  bert::Texts texts;
  for (std::size_t i = 0; i < sentences.size(); i += every) {
    std::string text;
    for (const std::string& word : sentences[i].words) text += (text.empty() ? "" : " ") + word;
    auto encoding = tokenizer.encode(text, {.max_length = static_cast<std::size_t>(max_length)});
    texts.add({text}, std::move(encoding), {0});
  }
  if (texts.size() == 0) throw lora::FileError(file + ": has no sentence");
  return texts;
}

/// Puts what lies in `from` in place of `to`.
inline void replace_folder(const std::filesystem::path& from, const std::filesystem::path& to) {
  std::filesystem::remove_all(to);
  std::filesystem::rename(from, to);
}

/// Returns what makes a comparison: one that goes on must have the same.
[[nodiscard]] inline lora::train::RunSettings comparison_settings(const bert::Options& options,
                                                                  const bert::Problem& problem,
                                                                  const bert::Texts& untouched) {
  return bert::run_settings(options, problem)
      .add("test data", problem.test.fingerprint())
      .add("untouched text", untouched.fingerprint())
      .add("weight_decay", options.weight_decay)
      .add(settings_of(bert::trainer_options(options)));
}

/// Runs every method of `methods_of(options)` under every seed, each at its best learning rate
/// under the first seed. What they trained is saved in options.out, a folder each seed and method,
/// and what they gave in results.jsonl there, with which options.resume goes on.
[[nodiscard]] inline Comparison run_methods(const bert::Options& options,
                                            const ComparisonOptions& wanted,
                                            const MethodsOf& methods_of,
                                            const bert::Problem& problem,
                                            const lora::text::BertTokenizer& tokenizer,
                                            std::ostream& errors, bool terminal) {
  const std::filesystem::path out = options.out;
  const bert::Texts untouched =
      untouched_texts(wanted.untouched, problem, tokenizer, options.max_length);
  ResultsFile known(out / "results.jsonl", comparison_settings(options, problem, untouched),
                    options.resume);
  const lora::Matrix<float> base =
      embeddings(Model(options.model, bert::model_options(options, lora::models::HeadOnly{}, 2)),
                 untouched, tokenizer, options.batch);
  const Task task{problem, tokenizer, untouched, base};
  const auto steps = static_cast<int>(
      (static_cast<Index>(problem.train.size()) + options.batch - 1) / options.batch);
  Comparison comparison;
  std::map<std::string, double> chosen;  // a method's learning rate
  for (int i = 0; i < wanted.seeds; ++i) {
    bert::Options of_seed = options;
    of_seed.seed += static_cast<std::uint64_t>(i);
    auto& of_methods = comparison.results.emplace_back();
    for (const Method& method : methods_of(of_seed)) {
      const std::string key = "seed-" + std::to_string(of_seed.seed) + "/" + method.folder;
      const auto folder = out / key;
      std::filesystem::path trial;  // of the rate that was tried last
      const auto run = [&](double rate) {
        const std::string of_rate = key + "." + lora::io::Json(rate).dump();
        std::filesystem::remove_all(trial);
        trial = out / of_rate;
        if (const Result* result = known.find(of_rate)) return *result;
        examples::ProgressBar progress(errors, terminal,
                                       "seed " + std::to_string(of_seed.seed) + ", " + method.name +
                                           ", rate " + short_rate(rate),
                                       steps * options.epochs);
        Result result =
            run_method(method, rate, of_seed, task, trial, [&] { progress.advance(method.name); });
        known.add(of_rate, result);
        progress.finish("validation " + problem.score_name + " " +
                        examples::fixed(result.validation, 2) + " %");
        return result;
      };
      // A result that was known is in its place since then, or else still where it was trained.
      const auto keep = [&] {
        if (std::filesystem::exists(trial)) replace_folder(trial, folder);
      };
      const auto rate = chosen.find(method.folder);
      const std::vector<double> rates =
          rate == chosen.end() ? method.learning_rates : std::vector<double>{rate->second};
      std::vector<Trial> trials;
      of_methods.push_back(best_of_rates(rates, run, keep, trials));
      std::filesystem::remove_all(trial);
      chosen[method.folder] = of_methods.back().learning_rate;
      if (trials.size() > 1)
        comparison.trials.insert(comparison.trials.end(), trials.begin(), trials.end());
    }
  }
  return comparison;
}

}  // namespace sentiment
