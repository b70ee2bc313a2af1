#pragma once

#include <lora/core/error.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "results.hpp"

namespace lora::bench {

/// Says which number of a row is drawn, and how.
enum class Quantity {
  share,   ///< throughput in percent of the frozen product's: what a noisy machine bends least
  tokens,  ///< tokens per second
  gflops,  ///< useful GFLOP/s
};

/// Returns the quantity of that name on the command line. Throws ConfigError for any other.
[[nodiscard]] inline Quantity quantity_named(std::string_view name) {
  if (name == "share") return Quantity::share;
  if (name == "tokens/s") return Quantity::tokens;
  if (name == "GFLOP/s") return Quantity::gflops;
  throw ConfigError(message("the quantity is ", name, ", expected share, tokens/s or GFLOP/s"));
}

/// Returns the label of the quantity's axis.
[[nodiscard]] inline std::string axis_label(Quantity quantity) {
  switch (quantity) {
    case Quantity::share:
      return "throughput, % of the frozen product's";
    case Quantity::tokens:
      return "throughput, tokens per second";
    case Quantity::gflops:
      return "throughput, useful GFLOP/s";
  }
  return "";
}

/// Tells whether the quantity spans orders of magnitude over the widths.
[[nodiscard]] inline bool is_logarithmic(Quantity quantity) { return quantity == Quantity::tokens; }

/// Returns the number of `row` that `quantity` asks for.
[[nodiscard]] inline double value_of(const Measurement& row, Quantity quantity) {
  switch (quantity) {
    case Quantity::share:
      return 100 / row.over_frozen;
    case Quantity::tokens:
      return row.tokens_per_second;
    case Quantity::gflops:
      return row.gflops;
  }
  return 0;
}

/// Returns what the value would be if all of the row's operations ran at the speed of the frozen
/// product: the share that counting operations allows. None for absolute quantities.
[[nodiscard]] inline std::optional<double> limit_of(const Measurement& row, Quantity quantity) {
  if (quantity != Quantity::share) return std::nullopt;
  // Operations are speed times time, here in units of the frozen product's.
  const double operations = row.gflops / row.frozen_gflops * row.over_frozen;
  return 100 / operations;
}

}  // namespace lora::bench
