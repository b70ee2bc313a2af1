#pragma once

#include "lora/core/finite.hpp"

namespace lora {

/// Throws ConfigError, naming `where` and `what`, unless `value` is neither infinite nor NaN. Like
/// the other checks of this file, it keeps its word under -ffast-math.
template <class Where>
void require_finite(double value, const Where& where, std::string_view what) {
  if (!is_finite(value))
    throw ConfigError(message(where, ": ", what, " is ", value, ", expected a finite number"));
}

/// Throws ConfigError, naming `where` and `what`, unless `value` is finite and at least zero.
template <class Where>
void require_non_negative(double value, const Where& where, std::string_view what) {
  if (!is_finite(value) || value < 0)
    throw ConfigError(
        message(where, ": ", what, " is ", value, ", expected a finite number of at least 0"));
}

/// Throws ConfigError, naming `where` and `what`, unless 0 <= value < 1: a probability of dropout,
/// a factor that fades.
template <class Where>
void require_below_one(double value, const Where& where, std::string_view what) {
  if (!is_finite(value) || value < 0 || value >= 1)
    throw ConfigError(message(where, ": ", what, " is ", value, ", expected 0 <= ", what, " < 1"));
}

}  // namespace lora
