#pragma once

#include <map>
#include <string>
#include <utility>

#include "lora/adapters/resize_factors.hpp"
#include "lora/peft/describe_values.hpp"

namespace lora::peft {

/// What a change of rank did to one module's update.
struct ResizedModule {
  Index rank_before = 0;
  Index rank = 0;
  double norm = 0;   ///< Frobenius norm of scaling * B A as it was
  double error = 0;  ///< that of what is missing from it now

  /// Returns error / norm; 0 of an update that is zero.
  [[nodiscard]] double relative_error() const { return norm > 0 ? error / norm : 0; }
};

/// An adapter of other ranks, and what that did.
template <class T>
struct ResizedAdapter {
  AdapterValues<T> adapter;
  std::map<std::string, ResizedModule> modules;
};

/// Gives every module of `adapter` the rank that `choice` makes of the singular values of its
/// update, with the best approximation that there is of that rank (resize_factors). alpha becomes
/// the rank and use_rslora false, so that every scaling is 1. What is stored whole stays, and so do
/// DoRA's magnitudes and s b_B of lora_bias.
///
/// Throws ConfigError for a choice out of range, an adapter of a changed base and, naming the
/// module, numbers that are not finite; ShapeError for factors that have no product, as those of
/// grouped convolutions.
template <class T>
[[nodiscard]] ResizedAdapter<T> resize_adapter(const AdapterValues<T>& adapter,
                                               const RankChoice& choice) {
  validate(choice, "resize_adapter");
  require_own_base(adapter.config, "resize_adapter");
  ResizedAdapter<T> result{{adapter.config, {}, adapter.others}, {}};
  for (const auto& [name, factors] : adapter.modules) {
    detail::require_rank(factors, name, "resize_adapter");
    const std::string where = "resize_adapter: " + in_quotes(name);
    require_finite(factors.config.scaling(), where, "scaling");
    require_factors<T>(factors.a.value, factors.b.value, where);
    const Matrix<T> scaled = static_cast<T>(factors.config.scaling()) * factors.a.value;
    ResizedFactors<T> made = resize_factors<T>(factors.b.value, scaled, choice);
    LoRAFactors<T> resized{factors.config,
                           {std::move(made.factors.a), factors.a.shape},
                           {std::move(made.factors.b), factors.b.shape},
                           factors.is_embedding,
                           factors.magnitude,
                           factors.b_bias};
    if (resized.b_bias) resized.b_bias->value *= static_cast<T>(factors.config.scaling());
    resized.set_rank(resized.a.value.rows());
    result.modules.emplace(
        name, ResizedModule{factors.config.rank, resized.config.rank, made.norm, made.error});
    result.adapter.modules.emplace(name, std::move(resized));
  }
  result.adapter.config.init_lora_weights = true;
  describe_values(result.adapter);
  return result;
}

}  // namespace lora::peft
