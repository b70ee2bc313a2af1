#pragma once

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"

namespace lora::generation {

/// A watcher for texts that end an answer, over the pieces of text as they come. It holds back what
/// may be the beginning of one, so that nobody is shown a part of it.
class StopStrings {
 public:
  /// Throws ConfigError for an empty text among `stops`.
  explicit StopStrings(std::vector<std::string> stops) : stops_(std::move(stops)) {
    for (const std::string& stop : stops_)
      if (stop.empty()) throw ConfigError("StopStrings: a text is empty, which would end anything");
  }

  /// Takes a piece, and returns what can be shown now: all that is before the first stop, or before
  /// what may become one.
  [[nodiscard]] std::string push(std::string_view piece) {
    if (stopped_) return {};
    held_ += piece;
    std::size_t end = std::string::npos;
    for (const std::string& stop : stops_) end = std::min(end, held_.find(stop));
    stopped_ = end != std::string::npos;
    return take(stopped_ ? end : held_.size() - beginning());
  }

  /// Returns what was held back and no stop has come of.
  [[nodiscard]] std::string finish() { return stopped_ ? std::string() : take(held_.size()); }

  /// Tells whether a stop has come.
  [[nodiscard]] bool stopped() const { return stopped_; }

 private:
  // The longest end of what is held that begins a stop.
  [[nodiscard]] std::size_t beginning() const {
    std::size_t longest = 0;
    for (const std::string& stop : stops_)
      for (std::size_t size = std::min(stop.size() - 1, held_.size()); size > longest; --size)
        if (std::string_view(held_).substr(held_.size() - size) ==
            std::string_view(stop).substr(0, size)) {
          longest = size;
          break;
        }
    return longest;
  }

  std::string take(std::size_t count) {
    std::string text = held_.substr(0, count);
    held_.erase(0, count);
    return text;
  }

  std::vector<std::string> stops_;
  std::string held_;
  bool stopped_ = false;
};

}  // namespace lora::generation
