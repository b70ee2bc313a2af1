#pragma once

#include <cmath>
#include <type_traits>

#include "lora/core/parameter_list.hpp"
#include "lora/optim/parameter_group.hpp"

namespace lora {

/// Scales all gradients by min(1, max_norm / (norm + 1e-6)), norm being the 2-norm of them all
/// together, and returns that norm as it was: torch.nn.utils.clip_grad_norm_. Throws ConfigError
/// for a max_norm that is negative or not finite.
template <ParameterRange List>
double clip_grad_norm(const List& parameters, double max_norm) {
  require_non_negative(max_norm, "clip_grad_norm", "max_norm");
  double squares = 0;
  for (const auto* parameter : parameters)
    squares += parameter->grad.template cast<double>().squaredNorm();
  const double norm = std::sqrt(squares);
  const double factor = max_norm / (norm + 1e-6);
  if (factor < 1)
    for (auto* parameter : parameters) {
      using Scalar = typename std::remove_pointer_t<decltype(parameter)>::Scalar;
      parameter->grad *= static_cast<Scalar>(factor);
    }
  return norm;
}

}  // namespace lora
