#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "lora/core/matrix.hpp"
#include "lora/core/parameter.hpp"

namespace lora {

/// Everything that an optimizer remembers, in a form that files can hold: checkpoints save and
/// restore it. Keyed by parameter names, never by addresses.
template <class T>
struct OptimizerState {
  std::string optimizer;                       ///< "AdamW", "SGD": whose state it is
  double learning_rate = 0;                    ///< as last set, by a schedule for instance
  std::map<std::string, std::uint64_t> steps;  ///< parameter -> steps it has seen
  std::map<std::string, Matrix<T>> tensors;    ///< parameter + "." + kind -> moments
};

/// Throws ShapeError, naming `where`, unless what is remembered of `parameter` has its shape.
template <class T>
void require_same_shape(const Matrix<T>& remembered, const Parameter<T>& parameter,
                        std::string_view where) {
  if (remembered.rows() != parameter.value.rows() || remembered.cols() != parameter.value.cols())
    throw ShapeError(message(where, ": ", parameter.name, " is ", shape_of(parameter.value),
                             ", expected ", shape_of(remembered), " as in the steps before"));
}

}  // namespace lora
