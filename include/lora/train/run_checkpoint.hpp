#pragma once

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>

#include "lora/core/error.hpp"
#include "lora/io/checkpoint.hpp"
#include "lora/train/early_stopping.hpp"
#include "lora/train/run_settings.hpp"
#include "lora/train/task.hpp"

namespace lora::train {

/// Where a run stands between two steps.
struct RunPosition {
  int epochs = 0;                    ///< done
  std::uint64_t steps_of_epoch = 0;  ///< done of the epoch after those
  std::uint64_t steps = 0;           ///< done, all together
  EarlyStopping::State scores = {};  ///< of the epochs that are done

  friend bool operator==(const RunPosition&, const RunPosition&) = default;
};

/// Writes everything that a run needs to go on, bit for bit, as one file, atomically. Throws
/// FileError.
template <TrainingTask Task, class Optimizer>
void save_run(const std::filesystem::path& path, Task& task, const Optimizer& optimizer,
              const RunPosition& position, const RunSettings& settings) {
  using T = ScalarOf<Task>;
  const auto unsigned_of = [](int number) { return static_cast<std::uint64_t>(number); };
  io::Checkpoint<T> checkpoint;
  checkpoint.parameters = io::values_of<T>(checkpoint_parameters(task));
  checkpoint.optimizer = optimizer.state();
  checkpoint.tapes = {task.tape().random_state()};
  checkpoint.counters = {{"epochs", unsigned_of(position.epochs)},
                         {"steps_of_epoch", position.steps_of_epoch},
                         {"steps", position.steps},
                         {"scored_epochs", unsigned_of(position.scores.epochs)},
                         {"best_epoch", unsigned_of(position.scores.best_epoch)}};
  checkpoint.numbers = {{"best_score", position.scores.best_score}};
  checkpoint.notes = {{"settings", settings.text()}};
  io::save_checkpoint(path, checkpoint);
}

namespace detail {

template <class Map>
[[nodiscard]] const auto& saved_value(const Map& map, const char* name, const std::string& where) {
  const auto found = map.find(name);
  if (found == map.end()) throw FileError(message(where, ": does not say its ", name));
  return found->second;
}

}  // namespace detail

/// What a checkpoint of a run holds.
template <class T>
struct SavedRun {
  io::Checkpoint<T> checkpoint;
  RunPosition position;
};

/// Reads what save_run wrote; T is the scalar of the task. Throws FileError for what is wrong with
/// the file, and ConfigError, naming the setting, where it is of a run with other settings.
template <class T>
[[nodiscard]] SavedRun<T> read_run(const std::filesystem::path& path, const RunSettings& settings) {
  const std::string where = path.string();
  SavedRun<T> saved{io::load_checkpoint<T>(path), {}};
  const auto& tapes = saved.checkpoint.tapes;
  const auto& counters = saved.checkpoint.counters;
  settings.require_same(
      RunSettings::parse(detail::saved_value(saved.checkpoint.notes, "settings", where), where),
      where);
  const auto epochs = [&](const char* name) {
    const std::uint64_t number = detail::saved_value(counters, name, where);
    if (number > static_cast<std::uint64_t>(std::numeric_limits<int>::max()))
      throw FileError(message(where, ": its ", name, " is ", number));
    return static_cast<int>(number);
  };
  saved.position = {epochs("epochs"),
                    detail::saved_value(counters, "steps_of_epoch", where),
                    detail::saved_value(counters, "steps", where),
                    {epochs("scored_epochs"), epochs("best_epoch"),
                     detail::saved_value(saved.checkpoint.numbers, "best_score", where)}};
  if (tapes.size() != 1)
    throw FileError(
        message(where, ": has the state of ", tapes.size(), " tapes, expected that of one"));
  return saved;
}

/// Brings a task and an optimizer back to where the run was saved. Throws ConfigError or ShapeError
/// for other parameters, StateError for another optimizer's state; then nothing has changed.
template <TrainingTask Task, class Optimizer>
void restore_run(const SavedRun<ScalarOf<Task>>& saved, Task& task, Optimizer& optimizer) {
  Optimizer restored = optimizer;
  restored.set_state(saved.checkpoint.optimizer);
  io::set_values<ScalarOf<Task>>(checkpoint_parameters(task), saved.checkpoint.parameters);
  optimizer = std::move(restored);
  task.tape().set_random_state(saved.checkpoint.tapes.front());
}

}  // namespace lora::train
