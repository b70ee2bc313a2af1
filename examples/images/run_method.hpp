#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <lora/io/safetensors/safetensors_writer.hpp>
#include <lora/peft/adapter_files.hpp>
#include <lora/peft/peft_config_file.hpp>
#include <lora/train/trainer.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../support/peak_memory.hpp"
#include "base.hpp"
#include "learner.hpp"
#include "methods.hpp"

namespace images_example {

/// What one method gave under one seed; shares in percent.
struct Result {
  std::string method = {};
  Family family = Family::head;
  Index trainable = 0;
  double test = 0;                         ///< new classes
  std::optional<double> old_off = {};      ///< old ones, adapter off; not where the base is gone
  double old_on = 0;                       ///< old ones by the base's head on the adapted layers
  double seconds = 0;                      ///< of the training steps
  double peak_mib = 0;                     ///< of loading and training
  std::uintmax_t stored = 0;               ///< bytes of the files
  std::optional<bool> reloads = {};        ///< whether what was saved gives the same bits
  std::optional<double> merged_same = {};  ///< share of answers that merging leaves
};

/// Saves what was trained into `folder`: as PEFT does for LoRA, otherwise as one safetensors file.
/// Returns the bytes. Throws lora::FileError.
inline std::uintmax_t save(Model& model, const Method& method,
                           const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  if (method.family == Family::lora) {
    model.save_adapter(folder);
    return fs::file_size(folder / lora::peft::adapter_config_file) +
           fs::file_size(folder / lora::peft::adapter_weights_file);
  }
  fs::create_directories(folder);
  std::vector<lora::io::Tensor> tensors;
  for (const auto* parameter : model.stored_parameters())
    tensors.push_back(lora::io::make_tensor(parameter->name, parameter->value, parameter->shape()));
  const auto file = folder / "trained.safetensors";
  lora::io::write_safetensors(file, std::move(tensors));
  return fs::file_size(file);
}

/// Loads the adapter in `folder` into a copy of the base of its own and looks whether the test
/// images get the same logits, bit for bit, and how many answers stay when it is merged.
inline void compare_reloaded(const Model& model, const Base& base, const Problem& problem,
                             const Options& options, const std::filesystem::path& folder,
                             Result& result) {
  Model again(base.folder, {.tuning = lora::peft::read_peft_config(folder),
                            .labels = static_cast<Index>(problem.classes.size()),
                            .new_head = true});
  again.load_adapter(folder);
  lora::Matrix<float> found;
  bool same = true;
  const std::vector<int> before = classes_by(problem.test, problem.how, options.batch,
                                             [&](const auto& batch, lora::Matrix<float>& expected) {
                                               model.forward(batch, expected);
                                               again.forward(batch, found);
                                               same = same && expected == found;
                                             });
  result.reloads = same;
  again.merge_adapters();
  result.merged_same =
      percent_right(classify(again, problem.test, problem.how, options.batch), before);
}

/// Adapts the base to the images `train` by one method, and looks at what it learnt and what became
/// of the old task. `step_is_done` is called after each step.
template <class StepIsDone>
[[nodiscard]] Result run_method(const Method& method, const Base& base, const Problem& problem,
                                const LabelledImages& train, const Options& options,
                                std::uint64_t seed, const std::filesystem::path& folder,
                                const StepIsDone& step_is_done) {
  examples::reset_peak_memory();
  Model model(base.folder, {.tuning = method.tuning,
                            .seed = seed,
                            .labels = static_cast<Index>(problem.classes.size()),
                            .new_head = true});
  Result result{method.name, method.family, model.trainable_parameters()};
  {
    Learner learner(model, train, problem, options.batch, seed);
    const auto history =
        lora::train::Trainer(
            learner, lora::AdamW<float>({.learning_rate = method.learning_rate, .weight_decay = 0}),
            {.epochs = options.epochs, .decay = lora::Decay::cosine})
            .run({.step_is_done = [&](const Batch&, const lora::train::StepResult&) {
              step_is_done();
            }});
    result.seconds = history.seconds();
    result.peak_mib = examples::peak_memory_mib();
  }
  const auto old_accuracy = [&] {
    return percent_right(classify_old(model, base, problem.old_test, problem.how, options.batch),
                         base.old_labels);
  };
  result.test =
      percent_right(classify(model, problem.test, problem.how, options.batch), problem.test.labels);
  result.old_on = old_accuracy();
  result.stored = save(model, method, folder);
  if (method.family == Family::head) result.old_off = result.old_on;  // its features are the base's
  if (method.family != Family::lora) return result;
  model.set_adapters_enabled(false);
  result.old_off = old_accuracy();
  model.set_adapters_enabled(true);
  compare_reloaded(model, base, problem, options, folder, result);
  return result;
}

}  // namespace images_example
