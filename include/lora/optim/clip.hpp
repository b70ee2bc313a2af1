#pragma once

#include <cmath>
#include <type_traits>

#include "lora/core/finite.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/optim/parameter_group.hpp"

namespace lora {

/// What clip_grad_norm does with gradients whose norm is infinite or NaN.
enum class NonFinite {
  refuse,  ///< throws StateError and leaves the gradients as they are: a step would spoil the run
  scale,   ///< scales all the same, as torch's error_if_nonfinite=False: everything becomes NaN
};

/// Scales all gradients by min(1, max_norm / (norm + 1e-6)), norm being the 2-norm of them all
/// together, and returns that norm as it was: torch.nn.utils.clip_grad_norm_. Throws ConfigError
/// for a max_norm that is negative or not finite, and for a parameter listed twice or two of one
/// name; StateError, naming a parameter, for a norm that is not finite, unless told to go on.
template <ParameterRange List>
double clip_grad_norm(const List& parameters, double max_norm,
                      NonFinite non_finite = NonFinite::refuse) {
  constexpr const char* where = "clip_grad_norm";
  require_non_negative(max_norm, where, "max_norm");
  require_distinct(parameters, where);
  double squares = 0;
  for (const auto* parameter : parameters) {
    const double of_one = parameter->grad.template cast<double>().squaredNorm();
    if (non_finite == NonFinite::refuse && !is_finite(of_one))
      throw StateError(
          message(where, ": the gradient of \"", parameter->name,
                  "\" is infinite or NaN: skip this step, or lower the learning rate"));
    squares += of_one;
  }
  const double norm = std::sqrt(squares);
  const double factor = max_norm / (norm + 1e-6);
  if (factor < 1 || !is_finite(norm))
    for (auto* parameter : parameters) {
      using Scalar = typename std::remove_pointer_t<std::decay_t<decltype(parameter)>>::Scalar;
      parameter->grad *= static_cast<Scalar>(factor);
    }
  return norm;
}

}  // namespace lora
