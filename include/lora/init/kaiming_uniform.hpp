#pragma once

#include <cmath>

#include "lora/core/matrix.hpp"
#include "lora/init/uniform.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// Fills `matrix` (fan_out, fan_in) with numbers uniform on (-k, k),
/// k = sqrt(6 / ((1 + a^2) fan_in)): He et al., "Delving deep into rectifiers" (2015), with the
/// negative slope a. a = sqrt(5), PyTorch's choice for Linear and PEFT's for A, gives
/// k = 1 / sqrt(fan_in). Element i takes the numbers of `random` at (step, i).
template <class T>
void kaiming_uniform(MatrixRef<T> matrix, const Random& random, double a = std::sqrt(5.0),
                     std::uint64_t step = 0) {
  if (matrix.size() == 0) return;
  uniform<T>(matrix, random, std::sqrt(6 / ((1 + a * a) * static_cast<double>(matrix.cols()))),
             step);
}

}  // namespace lora
