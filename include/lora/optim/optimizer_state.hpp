#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "lora/core/matrix.hpp"

namespace lora {

/// Holds everything that an optimizer remembers, in a form that files can hold: checkpoints save
/// and restore it. Keyed by parameter names, never by addresses.
template <class T>
struct OptimizerState {
  std::string optimizer;                       ///< "AdamW", "SGD": whose state it is
  double learning_rate = 0;                    ///< as last set, by a schedule for instance
  std::map<std::string, std::uint64_t> steps;  ///< parameter -> steps it has seen
  std::map<std::string, Matrix<T>> tensors;    ///< parameter + "." + kind -> moments
};

}  // namespace lora
