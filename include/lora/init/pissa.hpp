#pragma once

#include "lora/core/matrix.hpp"
#include "lora/init/low_rank_factors.hpp"
#include "lora/init/split_start.hpp"

namespace lora {

/// Moves W's main directions into the adapter, so that these train (Meng, Wang and Zhang, "PiSSA",
/// 2024, arXiv 2404.02948; PEFT 0.21's init_lora_weights="pissa"). Of the `rank` largest triples of
/// W = U S V^T:
///
///     B = U sqrt(S / s),    A = sqrt(S / s) V^T,    base = W - s B A
///
/// W is (out, in), s is `scaling`, that of the adapter. The default is the whole decomposition; the
/// fast form, PEFT's "pissa_niter_N", is the randomised search:
///
///     auto start = pissa<float>(w, 16, 2.0, {.power_iterations = 4});
///
/// The same bits for any number of threads. Throws ConfigError for a rank that is not from 1 to
/// min(out, in), options out of range, a scaling that is 0 or not finite, and a number of W that is
/// not finite, naming its place.
template <class T>
[[nodiscard]] SplitStart<T> pissa(ConstMatrixRef<T> weight, Index rank, double scaling,
                                  const SvdOptions& options = {.exact = true}) {
  require_scaling(scaling, "pissa");
  validate(options, "pissa");
  require_decomposable<T>(weight, rank, "pissa");
  SplitStart<T> start;
  detail::take_factors(low_rank_factors<T>(weight, rank, options), scaling, start, "pissa");
  detail::split_base<T>(weight, scaling, start, "pissa");
  return start;
}

}  // namespace lora
