#pragma once

#include <cstddef>
#include <lora/core/error.hpp>
#include <map>
#include <ostream>
#include <string>

#include "answer.hpp"

namespace serving {

/// A writer of answers, a line each: in the order of their requests, for which those that are
/// finished early wait, or as they come.
class AnswerWriter {
 public:
  AnswerWriter(std::ostream& out, bool as_finished) : out_(out), as_finished_(as_finished) {}

  /// Takes the answer to one request. Throws FileError where it cannot be written.
  void write(const Answer& answer) {
    if (!answer.error.empty()) ++refused_;
    if (as_finished_) {
      out_ << json_line(answer) << '\n';
    } else {
      waiting_.emplace(answer.number, json_line(answer));
      for (auto first = waiting_.begin(); first != waiting_.end() && first->first == next_;
           first = waiting_.erase(first), ++next_)
        out_ << first->second << '\n';
    }
    if (!out_.flush()) throw lora::FileError("the answers cannot be written");
  }

  /// Returns how many requests got an error.
  [[nodiscard]] std::size_t refused() const { return refused_; }

 private:
  std::ostream& out_;
  bool as_finished_;
  std::map<std::size_t, std::string> waiting_;  // by their requests' numbers
  std::size_t next_ = 0;
  std::size_t refused_ = 0;
};

}  // namespace serving
