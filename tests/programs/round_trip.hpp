#pragma once

#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>

#include <lora/models.hpp>

namespace lora::test {

/// Loads an adapter into the model, writes it back to `to`, and the logits that the
/// model computes for `batch` to `to`/logits.safetensors.
template <class Model, class Batch>
void round_trip(Model&& model, const Batch& batch, const std::filesystem::path& adapter,
                const std::filesystem::path& to) {
  model.load_adapter(adapter);
  Matrix<float> logits;
  model.forward(batch, logits);
  model.save_adapter(to);
  io::write_safetensors(to / "logits.safetensors", {io::make_tensor("logits", logits)});
}

/// Calls action(folder, output / its name) for each folder in `cases`; what is refused is told in
/// refused.txt there. Returns what main returns.
template <class Action>
[[nodiscard]] int for_each_case(const std::filesystem::path& cases,
                                const std::filesystem::path& output, const Action& action) {
  try {
    for (const auto& entry : std::filesystem::directory_iterator(cases)) {
      const std::filesystem::path to = output / entry.path().filename();
      const auto refuse = [&](const std::exception& error) {
        std::filesystem::create_directories(to);
        std::ofstream(to / "refused.txt") << error.what() << '\n';
      };
      try {
        action(entry.path(), to);
      } catch (const FileError& error) {
        refuse(error);
      } catch (const ConfigError& error) {
        refuse(error);
      }
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}

}  // namespace lora::test
