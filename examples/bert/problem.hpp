#pragma once

#include <filesystem>
#include <functional>
#include <lora/core/error.hpp>
#include <ostream>
#include <string>
#include <vector>

#include "texts.hpp"

namespace bert {

/// A task's texts, the names of its classes, and how answers are scored.
struct Problem {
  std::string name;        ///< of the program, for messages
  std::string task_type;   ///< PEFT's: "SEQ_CLS", "TOKEN_CLS"
  std::string score_name;  ///< "accuracy"
  std::string source;      ///< of the split, for the reader
  std::vector<std::string> classes;
  Texts train, validation, test;
  /// Returns the score of the answers to some of the texts, in percent.
  std::function<double(const Texts&, const Classes&)> score;
  /// Prints more about answers than one number.
  std::function<void(const Texts&, const Classes&, std::ostream&)> print_details =
      [](const Texts&, const Classes&, std::ostream&) {};
};

/// Throws lora::FileError that says how to get the data unless some is named.
inline void require_data(const std::filesystem::path& data, const std::string& how_to_get_it) {
  if (data.empty()) throw lora::FileError("--data says where the sentences are.\n" + how_to_get_it);
}

}  // namespace bert
