#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/printable.hpp"
#include "lora/core/tape.hpp"
#include "lora/io/parameter_values.hpp"
#include "lora/io/safetensors/safetensors_reader.hpp"
#include "lora/io/safetensors/safetensors_writer.hpp"
#include "lora/optim/optimizer_state.hpp"

namespace lora::io {

/// Everything that a training run must get back to go on, bit for bit, where it was:
///
///     save_checkpoint<float>("run.safetensors", {.parameters = values_of<float>(parameters),
///                                                .optimizer = optimizer.state(),
///                                                .tapes = {tape.random_state()},
///                                                .counters = {{"step", step}}});
///     const auto checkpoint = load_checkpoint<float>("run.safetensors");
///     optimizer.set_state(checkpoint.optimizer);
///     set_values<float>(parameters, checkpoint.parameters);
///     tape.set_random_state(checkpoint.tapes.at(0));
///
/// What does not train is not among `parameters`: where A is frozen (LoRA-FA) or a start has
/// changed the weights (PiSSA ...), make the layers from the same seed or the same start before
/// this.
///
/// A Schedule is a function of the step, and a shuffle of the epoch: the counters restore them.
template <class T>
struct Checkpoint {
  std::map<std::string, Matrix<T>> parameters;            ///< by name
  OptimizerState<T> optimizer;                            ///< empty without an optimizer
  std::vector<typename Tape<T>::RandomState> tapes = {};  ///< in an order of the caller's
  std::map<std::string, std::uint64_t> counters = {};     ///< step, epoch ...
  std::map<std::string, double> numbers = {};             ///< best score ...
  std::map<std::string, std::string> notes = {};          ///< text: the settings of the run ...
};

namespace detail {

inline constexpr const char* checkpoint_format = "lora checkpoint 1";
inline constexpr std::string_view note_prefix = "note.";  // of a key in the file's metadata

template <class Value>
[[nodiscard]] Tensor exact_tensor(std::string name, DType dtype, Shape shape,
                                  std::span<const Value> values) {
  const auto bytes = std::as_bytes(values);
  return {std::move(name), dtype, std::move(shape), {bytes.begin(), bytes.end()}};
}

/// A reader of tensors into the place that the first word of their names says.
template <class T>
class CheckpointReader {
 public:
  explicit CheckpointReader(const std::filesystem::path& path) : file_(path) {}

  Checkpoint<T> read() {
    const auto& notes = file_.metadata();
    const auto format = notes.find("format"), optimizer = notes.find("optimizer");
    if (format == notes.end() || format->second != checkpoint_format || optimizer == notes.end())
      throw FileError(file_.path().string() + ": is not a checkpoint of this library");
    checkpoint_.optimizer.optimizer = optimizer->second;
    for (const auto& [name, text] : notes)
      if (name.starts_with(note_prefix)) checkpoint_.notes[name.substr(note_prefix.size())] = text;
    checkpoint_.optimizer.learning_rate = value<double>("learning_rate", DType::F64);
    for (std::size_t i = 0; file_.contains(tape_name(i)); ++i) read_tape(tape_name(i));
    std::size_t tapes = 0;
    for (const auto& [name, view] : file_.tensors()) {
      if (name.starts_with("tape."))
        ++tapes;
      else
        read_tensor(name);
    }
    if (tapes != checkpoint_.tapes.size())
      throw FileError(file_.path().string() + ": its tapes are not numbered from 0 on");
    return std::move(checkpoint_);
  }

 private:
  static std::string tape_name(std::size_t i) { return "tape." + std::to_string(i); }

  void read_tape(const std::string& name) {
    std::uint64_t state[2];
    copy(name, DType::U64, {2}, state, sizeof(state));
    checkpoint_.tapes.push_back({state[0], state[1]});
  }

  void read_tensor(const std::string& name) {
    const std::size_t dot = name.find('.');
    const std::string kind = name.substr(0, dot);
    const std::string rest = dot == std::string::npos ? "" : name.substr(dot + 1);
    if (kind == "parameter")
      checkpoint_.parameters[rest] = matrix(name);
    else if (kind == "optimizer")
      checkpoint_.optimizer.tensors[rest] = matrix(name);
    else if (kind == "steps")
      checkpoint_.optimizer.steps[rest] = value<std::uint64_t>(name, DType::U64);
    else if (kind == "counter")
      checkpoint_.counters[rest] = value<std::uint64_t>(name, DType::U64);
    else if (kind == "number")
      checkpoint_.numbers[rest] = value<double>(name, DType::F64);
    else if (name != "learning_rate")
      throw FileError(file_.path().string() + ": tensor " + in_quotes(name) +
                      " is of no known kind");
  }

  template <class Value>
  [[nodiscard]] Value value(const std::string& name, DType dtype) const {
    Value result{};
    copy(name, dtype, {}, &result, sizeof(result));
    return result;
  }

  // Conversions would lose what the promise of equal bits is about.
  [[nodiscard]] Matrix<T> matrix(const std::string& name) const {
    const TensorView& view = file_.tensor(name);
    if (view.dtype != dtype_of<T> || view.shape.size() != 2)
      throw FileError(message(file_.path().string(), ": tensor ", in_quotes(name), " is ",
                              name_of(view.dtype), " ", shape_text(view.shape), ", expected ",
                              name_of(dtype_of<T>), " of two dimensions"));
    return file_.read<T>(name);
  }

  void copy(const std::string& name, DType dtype, const Shape& shape, void* out,
            std::size_t size) const {
    const TensorView& view = file_.tensor(name);
    if (view.dtype != dtype || view.shape != shape)
      throw FileError(message(file_.path().string(), ": tensor ", in_quotes(name), " is ",
                              name_of(view.dtype), " ", shape_text(view.shape), ", expected ",
                              name_of(dtype), " ", shape_text(shape)));
    std::memcpy(out, view.bytes.data(), size);
  }

  SafetensorsReader file_;
  Checkpoint<T> checkpoint_;
};

}  // namespace detail

/// Writes a checkpoint as one safetensors file, atomically: a run that is killed, while saving too,
/// leaves the checkpoint before or this one. Throws FileError.
template <class T>
void save_checkpoint(const std::filesystem::path& path, const Checkpoint<T>& checkpoint) {
  std::vector<Tensor> tensors;
  const auto add_matrix = [&](const std::string& name, const Matrix<T>& value) {
    tensors.push_back(make_tensor(name, value));
  };
  const auto add_value = [&](const std::string& name, DType dtype, const auto& value) {
    tensors.push_back(detail::exact_tensor(name, dtype, {}, std::span(&value, 1)));
  };
  for (const auto& [name, value] : checkpoint.parameters) add_matrix("parameter." + name, value);
  for (const auto& [name, value] : checkpoint.optimizer.tensors)
    add_matrix("optimizer." + name, value);
  for (const auto& [name, steps] : checkpoint.optimizer.steps)
    add_value("steps." + name, DType::U64, steps);
  for (const auto& [name, count] : checkpoint.counters)
    add_value("counter." + name, DType::U64, count);
  for (const auto& [name, number] : checkpoint.numbers)
    add_value("number." + name, DType::F64, number);
  add_value("learning_rate", DType::F64, checkpoint.optimizer.learning_rate);
  for (std::size_t i = 0; i < checkpoint.tapes.size(); ++i) {
    const std::array<std::uint64_t, 2> state{checkpoint.tapes[i].stream, checkpoint.tapes[i].step};
    tensors.push_back(detail::exact_tensor("tape." + std::to_string(i), DType::U64, {2},
                                           std::span<const std::uint64_t>(state)));
  }
  std::map<std::string, std::string> metadata{{"format", detail::checkpoint_format},
                                              {"optimizer", checkpoint.optimizer.optimizer}};
  for (const auto& [name, text] : checkpoint.notes)
    metadata[std::string(detail::note_prefix) + name] = text;
  write_safetensors(path, std::move(tensors), metadata);
}

/// Reads a checkpoint; T is the scalar that it was saved with. Throws FileError for whatever is
/// wrong with the file. Changes nothing but what it returns: see Checkpoint for the rest.
template <class T>
[[nodiscard]] Checkpoint<T> load_checkpoint(const std::filesystem::path& path) {
  return detail::CheckpointReader<T>(path).read();
}

}  // namespace lora::io
