#pragma once

#include <cstddef>
#include <filesystem>
#include <lora/images.hpp>
#include <lora/io/model_reader.hpp>
#include <lora/lora.hpp>
#include <lora/models/common/image_settings.hpp>
#include <lora/models/resnet/resnet_classifier.hpp>
#include <lora/train/trainer.hpp>
#include <string>
#include <vector>

#include "../support/progress_bar.hpp"
#include "learner.hpp"
#include "problem.hpp"

namespace images_example {

/// A frozen model, and what it gave on its own task.
struct Base {
  std::filesystem::path folder;
  lora::models::ResNetConfig config;
  lora::Matrix<float> head;     ///< (old classes, features)
  lora::Matrix<float> bias;     ///< (1, old classes)
  std::vector<int> old_labels;  ///< of the old test images: its own answers where none are known
  double old_accuracy = 100;    ///< in percent
  Index parameters = 0;
};

/// Returns the class that the base's head gives each image on the features of `model`.
[[nodiscard]] inline std::vector<int> classify_old(const Model& model, const Base& base,
                                                   const LabelledImages& images,
                                                   const Preprocessing& how, Index size) {
  lora::Matrix<float> features;
  return classes_by(images, how, size, [&](const auto& batch, lora::Matrix<float>& logits) {
    model.embed(batch, features);
    logits = features * base.head.transpose();
    logits.rowwise() += base.bias.row(0);
  });
}

/// Trains a network for small images on the old task and saves it in `folder`, as transformers
/// does.
inline void train_base(const Options& options, const Problem& problem,
                       const std::filesystem::path& folder, examples::ProgressBar& progress) {
  lora::models::ResNetConfig config = lora::models::cifar_resnet_config(options.depth, 5);
  config.num_channels = problem.old_train.channels;
  lora::models::write_new_resnet(folder, config, options.seed);
  // From nothing a network needs the statistics of its batches; all norms train, and so they are
  // stored.
  Model model(folder, {.tuning = lora::models::FullTuning{}, .batch_statistics = true});
  Learner learner(model, problem.old_train, problem, 64, options.seed);
  lora::train::Trainer(
      learner,
      lora::AdamW<float>({.learning_rate = options.base_learning_rate, .weight_decay = 5e-4}),
      {.epochs = options.base_epochs, .decay = lora::Decay::cosine})
      .run({.step_is_done = [&](const Batch&, const lora::train::StepResult&) {
        progress.advance();
      }});
  model.save_model(folder);
}

/// Returns the steps that train_base takes.
[[nodiscard]] inline int base_steps(const Options& options, const Problem& problem) {
  return static_cast<int>((problem.old_train.size() + 63) / 64) * options.base_epochs;
}

/// Opens the base in `folder` and tries it on the old test images. Throws lora::FileError, also
/// where it does not take the problem's images.
[[nodiscard]] inline Base open_base(const std::filesystem::path& folder, const Problem& problem,
                                    Index batch) {
  Model model(folder);
  Base base{.folder = folder, .config = model.config(), .head = {}, .bias = {}, .old_labels = {}};
  if (base.config.num_channels != problem.test.channels)
    throw lora::FileError(lora::message(folder.string(), ": takes images of ",
                                        base.config.num_channels, " channels, these have ",
                                        problem.test.channels));
  lora::io::ModelReader reader(folder);
  const lora::models::ResNetNames names(base.config.naming);
  base.head = reader.read<float>(names.head() + ".weight");
  base.bias = reader.read<float>(names.head() + ".bias");
  base.parameters = model.total_parameters();
  const std::vector<int> answers = classify(model, problem.old_test, problem.how, batch);
  base.old_labels = problem.old_labelled ? problem.old_test.labels : answers;
  base.old_accuracy = percent_right(answers, base.old_labels);
  return base;
}

}  // namespace images_example
