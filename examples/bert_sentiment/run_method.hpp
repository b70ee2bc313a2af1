#pragma once

#include <algorithm>
#include <filesystem>
#include <lora/text.hpp>

#include "../bert/classifier.hpp"
#include "../bert/model.hpp"
#include "../bert/options.hpp"
#include "../bert/problem.hpp"
#include "../support/peak_memory.hpp"
#include "embeddings.hpp"
#include "result.hpp"
#include "stored.hpp"
#include "train_method.hpp"

namespace sentiment {

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
  begin(model, method);

  Result result{.method = method.name,
                .family = method.family,
                .learning_rate = learning_rate,
                .trainable = model.trainable_parameters()};
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
  const lora::train::History history = train(learner, method, learning_rate, options, observer);
  note_peak();
  result.seconds = history.seconds();
  result.validation = history.scores.best_score;
  load(model, method, folder);
  result.test = problem.score(problem.test, learner.classify(problem.test));

  const auto similarity = [&] {
    return mean_cosine(task.base, embeddings(model, task.untouched, task.tokenizer, options.batch));
  };
  result.similarity = similarity();
  // PiSSA's and OLoRA's adapters have taken part of the weights, which are not the base without.
  if (method.family == Family::head ||
      (method.family == Family::lora && !lora::changes_base(method.start))) {
    model.set_adapters_enabled(false);
    result.similarity_off = similarity();
    model.set_adapters_enabled(true);
  }
  return result;
}

}  // namespace sentiment
