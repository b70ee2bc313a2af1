#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <lora/io.hpp>
#include <lora/models.hpp>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "../bert/classifier.hpp"
#include "../bert/model.hpp"
#include "../bert/options.hpp"
#include "../bert/problem.hpp"
#include "../bert/training.hpp"
#include "../support/peak_memory.hpp"
#include "../support/progress_bar.hpp"
#include "../support/table.hpp"
#include "embeddings.hpp"
#include "methods.hpp"

namespace sentiment {

using Model = lora::models::BertForSequenceClassification<float>;

/// Holds what one method gave under one seed.
struct Result {
  std::string method = {};
  Family family = Family::head;
  Index trainable = 0;
  double validation = 0;  ///< of the best epoch, in percent
  double test = 0;        ///< the same parameters on the test sentences
  double seconds = 0;     ///< of the training steps
  double peak_mib = 0;
  std::uintmax_t stored = 0;                  ///< bytes of the files
  double similarity = 1;                      ///< see mean_cosine: embeddings beside the base's
  std::optional<double> similarity_off = {};  ///< with the adapter off, where it can be
};

/// Writes what was trained into `folder`: as PEFT does for LoRA, otherwise as one safetensors
/// file. Returns the bytes. Throws lora::FileError.
inline std::uintmax_t save(Model& model, const Method& method,
                           const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  if (method.family == Family::lora) {
    model.save_adapter(folder);
    return std::filesystem::file_size(folder / lora::io::adapter_config_file) +
           std::filesystem::file_size(folder / lora::io::adapter_weights_file);
  }
  std::vector<lora::io::Tensor> tensors;
  for (const auto* parameter : model.parameters())
    tensors.push_back(lora::io::make_tensor(parameter->name, parameter->value));
  const auto file = folder / "trained.safetensors";
  lora::io::write_safetensors(file, std::move(tensors));
  return std::filesystem::file_size(file);
}

/// Brings back what save wrote. Throws lora::FileError.
inline void load(Model& model, const Method& method, const std::filesystem::path& folder) {
  if (method.family == Family::lora) return model.load_adapter(folder);
  const lora::io::SafetensorsReader file(folder / "trained.safetensors");
  std::map<std::string, lora::Matrix<float>> values;
  const auto parameters = model.parameters();
  for (const auto* parameter : parameters)
    values[parameter->name] = file.read<float>(parameter->name);
  lora::io::set_values<float>(parameters, values);
}

/// Adapts the model by one method, keeps its best epoch, and looks at what became of the base's
/// embeddings of `untouched`.
[[nodiscard]] inline Result run_method(const Method& method, const bert::Options& options,
                                       const bert::Problem& problem,
                                       const lora::text::BertTokenizer& tokenizer,
                                       const bert::Texts& untouched,
                                       const lora::Matrix<float>& base,
                                       examples::ProgressBar& progress) {
  const auto folder = std::filesystem::path(options.out) / method.folder;
  examples::reset_peak_memory();
  bert::Classifier<bert::BertTask::sequence_classification> learner(
      Model(options.model, bert::model_options(options, method.tuning, 2)), tokenizer,
      problem.train, problem.validation, options.batch, problem.score);
  Model& model = learner.model();

  bert::Training training = bert::training_of(options);
  training.learning_rate = method.learning_rate;
  training.checkpoint.clear();
  Result result{method.name, method.family, model.trainable_parameters()};
  const bert::Observer observer{
      .step_is_done = [&](const bert::Batch&, const bert::Step&) { progress.advance(method.name); },
      .epoch_is_done =
          [&](double, bool best, const bert::History&) {
            if (best) result.stored = save(model, method, folder);
          }};
  const bert::History history = bert::train(learner, training, false, observer);
  result.peak_mib = examples::peak_memory_mib();
  result.seconds = history.seconds();
  result.validation = history.progress.best_score;
  load(model, method, folder);
  result.test = problem.score(problem.test, learner.classify(problem.test));

  const auto similarity = [&] {
    return mean_cosine(base, embeddings(model, untouched, tokenizer, options.batch));
  };
  result.similarity = similarity();
  if (method.family == Family::lora || method.family == Family::head) {
    model.set_adapters_enabled(false);
    result.similarity_off = similarity();
    model.set_adapters_enabled(true);
  }
  return result;
}

/// Returns the texts on which the base's behaviour is looked at: some 300 of the file's, joined by
/// spaces, or the test sentences.
[[nodiscard]] inline bert::Texts untouched_texts(const std::string& file,
                                                 const bert::Problem& problem,
                                                 const lora::text::BertTokenizer& tokenizer,
                                                 Index max_length) {
  if (file.empty()) return problem.test;
  constexpr std::size_t enough = 300;  // spread over the whole file
  const auto sentences = lora::text::read_conll(file);
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

/// Runs every method under every seed; results[seed][method].
[[nodiscard]] inline std::vector<std::vector<Result>> run_methods(
    const bert::Options& options, const MethodOptions& wanted, const bert::Problem& problem,
    const lora::text::BertTokenizer& tokenizer, std::ostream& errors, bool terminal) {
  const bert::Texts untouched =
      untouched_texts(wanted.untouched, problem, tokenizer, options.max_length);
  const lora::Matrix<float> base =
      embeddings(Model(options.model, bert::model_options(options, lora::models::HeadOnly{}, 2)),
                 untouched, tokenizer, options.batch);
  const auto steps = static_cast<int>(
      bert::batches_of_epoch(problem.train.lengths, options.batch, options.seed, 0).size());
  std::vector<std::vector<Result>> results;
  for (int i = 0; i < wanted.seeds; ++i) {
    bert::Options of_seed = options;
    of_seed.seed += static_cast<std::uint64_t>(i);
    auto& of_methods = results.emplace_back();
    for (const Method& method : methods(of_seed, wanted)) {
      examples::ProgressBar progress(errors, terminal,
                                     "seed " + std::to_string(of_seed.seed) + ", " + method.name,
                                     steps * options.epochs);
      of_methods.push_back(
          run_method(method, of_seed, problem, tokenizer, untouched, base, progress));
      progress.finish(problem.score_name + " " + examples::fixed(of_methods.back().test, 2) + " %");
    }
  }
  return results;
}

}  // namespace sentiment
