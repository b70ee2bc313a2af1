#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/finite.hpp"
#include "lora/io/atomic_file.hpp"
#include "lora/io/json.hpp"
#include "lora/io/mapped_file.hpp"

namespace lora::train {

/// One line of a metrics file: numbers by name.
using Metrics = std::map<std::string, double>;

/// Parses lines of JSON objects whose values are numbers: `{"step": 3, "epoch": 1, "loss": 0.25}`.
/// A number that was not finite is null in the file and left out here. What a killed program has
/// left of its last line is left out too. Throws FileError "where:line: ..." for another line.
[[nodiscard]] inline std::vector<Metrics> parse_metrics(std::string_view text,
                                                        const std::string& where) {
  std::vector<Metrics> all;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    const std::string at = message(where, ":", line);
    const io::Json object = io::parse_json(text.substr(0, end), at);
    text.remove_prefix(end + 1);
    if (!object.is_object())
      throw FileError(at + ": expected an object, not " + io::excerpt(object));
    Metrics metrics;
    for (const auto& [name, value] : object.items()) {
      if (value.is_null()) continue;
      if (!value.is_number())
        throw FileError(message(at, ": ", io::excerpt(io::Json(name)), " is ", io::excerpt(value),
                                ", expected a number"));
      metrics[name] = value.get<double>();
    }
    all.push_back(std::move(metrics));
  }
  return all;
}

namespace detail {

// Not mapped: an empty file is a log of nothing.
[[nodiscard]] inline std::string text_of_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw FileError(path.string() + ": cannot open");
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  if (file.bad()) throw FileError(path.string() + ": cannot read");
  return text;
}

}  // namespace detail

/// Reads a metrics file; see parse_metrics.
[[nodiscard]] inline std::vector<Metrics> read_metrics(const std::filesystem::path& path) {
  return parse_metrics(detail::text_of_file(path), path.string());
}

/// A file of what a run reached at each step and epoch, one JSON object a line, that can be read
/// while the run goes on: see read_metrics and the program plot_metrics.
class MetricsLog {
 public:
  /// Begins the file anew, or goes on: of a file that is there, lines whose "step" is at most
  /// `steps_done` are kept, byte for byte, and what a killed run did beyond its checkpoint is taken
  /// away. Throws FileError.
  explicit MetricsLog(std::filesystem::path path, std::uint64_t steps_done = 0)
      : path_(std::move(path)) {
    std::string kept;
    if (steps_done > 0 && io::is_there(path_))
      kept = lines_until(detail::text_of_file(path_), static_cast<double>(steps_done));
    io::AtomicFile begun(path_);
    begun.write(kept);
    begun.commit();
    file_.open(path_, std::ios::binary | std::ios::app);
    if (!file_) throw FileError(path_.string() + ": cannot open");
  }

  /// Appends a line. Throws FileError.
  void add(std::initializer_list<std::pair<std::string_view, double>> metrics) {
    std::string line;
    for (const auto& [name, value] : metrics) {
      line += line.empty() ? "{" : ", ";
      line += io::quoted(std::string(name), path_.string()) + ": " + text_of(value);
    }
    file_ << line << "}\n" << std::flush;
    if (!file_) throw FileError(path_.string() + ": cannot write");
  }

 private:
  // Whole numbers without a point, others in the shortest form that reads back as the same number.
  [[nodiscard]] static std::string text_of(double value) {
    constexpr double exact = 9007199254740992;  // 2^53
    if (!is_finite(value)) return "null";
    if (value >= 0 && value < exact &&
        value == static_cast<double>(static_cast<std::uint64_t>(value)))
      return std::to_string(static_cast<std::uint64_t>(value));
    return io::Json(value).dump();
  }

  [[nodiscard]] std::string lines_until(const std::string& text, double last_step) const {
    const auto metrics = parse_metrics(text, path_.string());
    std::string kept;
    std::size_t begin = 0;
    for (const Metrics& line : metrics) {
      const std::size_t end = text.find('\n', begin) + 1;
      const auto step = line.find("step");
      if (step != line.end() && step->second <= last_step) kept.append(text, begin, end - begin);
      begin = end;
    }
    return kept;
  }

  std::filesystem::path path_;
  std::ofstream file_;
};

}  // namespace lora::train
