#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <lora/text.hpp>
#include <lora/train/trainer.hpp>
#include <optional>
#include <string>

#include "../bert/classifier.hpp"
#include "../bert/model.hpp"
#include "../bert/options.hpp"
#include "../bert/problem.hpp"
#include "../support/peak_memory.hpp"
#include "embeddings.hpp"
#include "stored.hpp"

namespace sentiment {

/// What one method gave under one seed.
struct Result {
  std::string method = {};
  Family family = Family::head;
  double learning_rate = 0;
  Index trainable = 0;
  double validation = 0;                      ///< of the best epoch, in percent
  double test = 0;                            ///< the same parameters on the test sentences
  double seconds = 0;                         ///< of the training steps
  double peak_mib = 0;                        ///< of loading, training and validation
  std::uintmax_t stored = 0;                  ///< bytes of the files
  double similarity = 1;                      ///< see mean_cosine: embeddings beside the base's
  std::optional<double> similarity_off = {};  ///< with the adapter off, where it can be
};

/// What every method is given alike. Views what it was made from.
struct Task {
  const bert::Problem& problem;
  const lora::text::BertTokenizer& tokenizer;
  const bert::Texts& untouched;     ///< text that no method has seen
  const lora::Matrix<float>& base;  ///< the base's embeddings of it
};

/// Adapts the model by one method at one learning rate, keeps its best epoch in `folder`, and looks
/// at what became of the base's embeddings. `step_is_done` is called after each step.
template <class StepIsDone>
[[nodiscard]] Result run_method(const Method& method, double learning_rate,
                                const bert::Options& options, const Task& task,
                                const std::filesystem::path& folder,
                                const StepIsDone& step_is_done) {
  examples::reset_peak_memory();
  const bert::Problem& problem = task.problem;
  bert::Classifier<bert::BertTask::sequence_classification> learner(
      Model(options.model, bert::model_options(options, method.tuning, 2)), task.tokenizer, problem,
      options.batch, options.seed);
  Model& model = learner.model();

  Result result{method.name, method.family, learning_rate, model.trainable_parameters()};
  const auto note_peak = [&] {
    result.peak_mib = std::max(result.peak_mib, examples::peak_memory_mib());
  };
  const lora::train::Observer observer{
      .step_is_done = [&](const bert::Batch&, const lora::train::StepResult&) { step_is_done(); },
      .epoch_is_done =
          [&](const lora::train::EpochResult& epoch) {
            if (!epoch.best) return;
            // Saving copies what is saved, which is no part of training.
            note_peak();
            result.stored = save(model, method, folder);
            examples::reset_peak_memory();
          }};
  const lora::train::History history =
      lora::train::Trainer(learner, bert::optimizer(options, learning_rate),
                           bert::trainer_options(options))
          .run(observer);
  note_peak();
  result.seconds = history.seconds();
  result.validation = history.scores.best_score;
  load(model, method, folder);
  result.test = problem.score(problem.test, learner.classify(problem.test));

  const auto similarity = [&] {
    return mean_cosine(task.base, embeddings(model, task.untouched, task.tokenizer, options.batch));
  };
  result.similarity = similarity();
  if (method.family == Family::lora || method.family == Family::head) {
    model.set_adapters_enabled(false);
    result.similarity_off = similarity();
    model.set_adapters_enabled(true);
  }
  return result;
}

}  // namespace sentiment
