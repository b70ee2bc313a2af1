#pragma once

#include <charconv>
#include <cstdint>
#include <lora/core/error.hpp>
#include <optional>
#include <string>
#include <vector>

#include "quantity.hpp"

namespace lora::bench {

/// Holds what plot_rank is asked for.
struct PlotOptions {
  std::string in;                           ///< a result of rank_throughput
  std::string out;                          ///< the drawing
  std::optional<std::int64_t> tokens = {};  ///< the largest of the file when left out
  Quantity quantity = Quantity::share;
};

/// Reads plot_rank's arguments, without the program's name. Throws ConfigError.
[[nodiscard]] inline PlotOptions parse_options(const std::vector<std::string>& arguments) {
  PlotOptions options;
  std::vector<std::string> files;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& word = arguments[i];
    if (word != "--tokens" && word != "--quantity") {
      files.push_back(word);
      continue;
    }
    if (++i == arguments.size()) throw ConfigError(word + " has no value");
    const std::string& text = arguments[i];
    if (word == "--quantity") {
      options.quantity = quantity_named(text);
      continue;
    }
    const char* end = text.data() + text.size();
    std::int64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc() || stop != end || number < 1)
      throw ConfigError(message("--tokens is ", text, ", expected a whole number of at least 1"));
    options.tokens = number;
  }
  if (files.size() != 2)
    throw ConfigError(message("there are ", files.size(),
                              " file names, expected plot_rank <result.json> <drawing.svg> "
                              "[--tokens <N>] [--quantity <Q>]"));
  options.in = files[0];
  options.out = files[1];
  return options;
}

}  // namespace lora::bench
