#pragma once

#include <CLI/CLI.hpp>
#include <lora/core/error.hpp>
#include <lora/core/finite.hpp>
#include <string>

namespace examples {

namespace detail {

template <class Accepts>
[[nodiscard]] CLI::Validator number_that(const Accepts& accepts, const std::string& range) {
  return {[accepts, range](std::string& text) {
            double number = 0;
            const bool good = CLI::detail::lexical_cast(text, number) && lora::is_finite(number) &&
                              accepts(number);
            return good ? std::string() : "Value " + text + " not in range " + range;
          },
          "FLOAT in " + range};
}

}  // namespace detail

/// Refuses what is no number from `low` to `high`. CLI::Range lets NaN pass, which is neither below
/// nor above any number.
[[nodiscard]] inline CLI::Validator number_from(double low, double high) {
  return detail::number_that([low, high](double number) { return number >= low && number <= high; },
                             lora::message("[", low, " - ", high, "]"));
}

/// Refuses what is no number above 0 and up to `high`.
[[nodiscard]] inline CLI::Validator positive_number_up_to(double high) {
  return detail::number_that([high](double number) { return number > 0 && number <= high; },
                             lora::message("(0 - ", high, "]"));
}

/// Refuses what is infinite or no number.
[[nodiscard]] inline CLI::Validator finite_number() {
  return detail::number_that([](double) { return true; }, "of finite numbers");
}

}  // namespace examples
