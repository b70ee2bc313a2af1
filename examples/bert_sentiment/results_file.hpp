#pragma once

#include <filesystem>
#include <fstream>
#include <lora/io/json.hpp>
#include <lora/train/run_settings.hpp>
#include <map>
#include <string>
#include <utility>

#include "result.hpp"

namespace sentiment {

/// The results of a comparison as they come, one line of JSON each, so that a comparison that was
/// stopped goes on where it was. The first line has the comparison's settings.
class ResultsFile {
 public:
  /// Begins a new file, or with `resume` takes what is in the one that is there. Throws FileError,
  /// and ConfigError for a file of other settings.
  ResultsFile(std::filesystem::path path, const lora::train::RunSettings& settings, bool resume)
      : path_(std::move(path)) {
    std::string text = settings.text() + "\n";
    if (resume && std::filesystem::exists(path_)) text = read(settings);
    std::filesystem::create_directories(path_.parent_path());
    // Written anew in either case: without half a line that a program left that was killed.
    file_.open(path_, std::ios::binary);
    append(text);
  }

  /// Returns the result that add noted under `key`, or null.
  [[nodiscard]] const Result* find(const std::string& key) const {
    const auto found = results_.find(key);
    return found == results_.end() ? nullptr : &found->second;
  }

  /// Notes a result. Throws FileError.
  void add(const std::string& key, const Result& result) {
    append(lora::io::Json::array({key, to_json(result)}).dump() + "\n");
    results_[key] = result;
  }

 private:
  // Returns the file's whole lines.
  std::string read(const lora::train::RunSettings& settings) {
    std::ifstream file(path_, std::ios::binary);
    std::string text, line;
    for (int number = 1; std::getline(file, line) && !file.eof(); ++number) {
      const std::string where = lora::message(path_.string(), ":", number);
      if (number == 1) {
        settings.require_same(lora::train::RunSettings::parse(line, where), path_.string());
      } else {
        try {
          const lora::io::Json entry = lora::io::parse_json(line, where);
          results_[entry.at(0).get<std::string>()] = result_of(entry.at(1));
        } catch (const lora::io::Json::exception&) {
          throw lora::FileError(where + ": expected a result, not " + line.substr(0, 60));
        }
      }
      text += line + "\n";
    }
    if (text.empty()) text = settings.text() + "\n";
    return text;
  }

  void append(const std::string& text) {
    file_ << text;
    if (!file_.flush()) throw lora::FileError(path_.string() + ": cannot be written");
  }

  std::filesystem::path path_;
  std::map<std::string, Result> results_;
  std::ofstream file_;
};

}  // namespace sentiment
