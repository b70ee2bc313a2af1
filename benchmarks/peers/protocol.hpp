#pragma once

#include <chrono>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>

#include "process_memory.hpp"

namespace lora::bench {

/// Holds what a side is told to set up: "tokens" -> "512".
class Settings {
 public:
  /// Reads `key=value` words up to the end of `words`. Throws std::runtime_error for others.
  explicit Settings(std::istream& words) {
    for (std::string word; words >> word;) {
      const auto equals = word.find('=');
      if (equals == std::string::npos)
        throw std::runtime_error("setup: " + word + ", expected key=value");
      values_[word.substr(0, equals)] = word.substr(equals + 1);
    }
  }

  /// Returns the text of `key`. Throws std::runtime_error where there is none.
  [[nodiscard]] const std::string& text(const std::string& key) const {
    const auto found = values_.find(key);
    if (found == values_.end()) throw std::runtime_error("setup: no " + key);
    return found->second;
  }

  /// Returns the whole number of `key`. Throws std::runtime_error where there is none.
  [[nodiscard]] long number(const std::string& key) const { return std::stol(text(key)); }

 private:
  std::map<std::string, std::string> values_;
};

/// Holds one kind of call: what is timed, and what has to be put right before each, untimed.
struct Work {
  std::function<void()> prepare;
  std::function<void()> call;
};

/// Is satisfied by a side: a program that computes the same cases as the others.
template <class Side>
concept ComparedSide = requires(Side& side, const Settings& settings, const std::string& text) {
  { side.info() } -> std::convertible_to<std::string>;
  side.set_up(settings);
  { side.work(text, text) } -> std::convertible_to<Work>;
  side.write(text, text, text);
};

namespace detail {

// Answers "time <operation> <variant> <untimed> <timed>".
template <ComparedSide Side>
std::string timed(Side& side, std::istream& words) {
  std::string operation, variant;
  long untimed = 0, calls = 0;
  if (!(words >> operation >> variant >> untimed >> calls))
    throw std::runtime_error("time: expected <operation> <variant> <untimed> <timed>");
  const Work work = side.work(operation, variant);
  std::ostringstream answer;
  answer << "seconds";
  for (long i = 0; i < untimed + calls; ++i) {
    using Clock = std::chrono::steady_clock;
    work.prepare();
    const Clock::time_point start = Clock::now();
    work.call();
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (i >= untimed) answer << ' ' << seconds;
  }
  return answer.str();
}

// Answers "check <operation> <variant> <folder>": one call, whose results are written.
template <ComparedSide Side>
std::string checked(Side& side, std::istream& words) {
  std::string operation, variant, folder;
  if (!(words >> operation >> variant >> folder))
    throw std::runtime_error("check: expected <operation> <variant> <folder>");
  const Work work = side.work(operation, variant);
  work.prepare();
  work.call();
  side.write(operation, variant, folder);
  return "ready";
}

template <ComparedSide Side>
std::string answer_to(Side& side, const std::string& line) {
  std::istringstream words(line);
  std::string command;
  words >> command;
  if (command == "info") return "info " + side.info();
  if (command == "setup") {
    side.set_up(Settings(words));
    return "ready";
  }
  if (command == "check") return checked(side, words);
  if (command == "time") return timed(side, words);
  if (command == "memory") {
    const ProcessMemory memory = process_memory();
    std::ostringstream answer;
    answer << "memory " << memory.peak_kib << ' ' << memory.now_kib;
    return answer.str();
  }
  throw std::runtime_error("unknown command: " + command);
}

}  // namespace detail

/// Serves the program that compares: reads one command a line from `in` until its end and answers
/// each with one line on `out`. Between commands it is blocked and takes no processor time.
///
///     info                                            -> info <JSON>
///     setup <key>=<value>...                          -> ready
///     check <operation> <variant> <folder>            -> ready (results lie in the folder)
///     time <operation> <variant> <untimed> <timed>    -> seconds <s>...
///     memory                                          -> memory <peak KiB> <KiB now>
///
/// What fails is answered with "error <message>".
template <ComparedSide Side>
void serve(Side& side, std::istream& in, std::ostream& out) {
  for (std::string line; std::getline(in, line);) {
    std::string answer;
    try {
      answer = detail::answer_to(side, line);
    } catch (const std::exception& error) {
      answer = std::string("error ") + error.what();
      // An answer is one line.
      for (char& c : answer)
        if (c == '\n') c = ' ';
    }
    out << answer << std::endl;
  }
}

}  // namespace lora::bench
