#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>

#include "lora/adapters/pruning.hpp"
#include "lora/adapters/weighted_sum.hpp"
#include "lora/core/printable.hpp"
#include "lora/init/low_rank_factors.hpp"

namespace lora {

/// How adapters become one, by PEFT's names. With c_i = weight_i scaling_i:
///
/// - `cat` and `svd` make the sum of c_i B_i A_i, exactly or as its best approximation of a rank.
/// - `linear` adds the A's and the B's, each times sqrt(|c_i|) (A with the sign of c_i): fast, but
///   B A then has the products B_i A_j too.
/// - `magnitude_prune` and `dare_linear` do as `linear` after pruning, by magnitude or at random.
/// - `ties` and `dare_ties` prune likewise, and add by majority_sign_sum.
/// - Those with `_svd` do so with the whole updates scaling_i B_i A_i, weighted by weight_i, and
///   return the best approximation of the result.
enum class CombinationType {
  cat,
  linear,
  svd,
  ties,
  ties_svd,
  dare_linear,
  dare_ties,
  dare_linear_svd,
  dare_ties_svd,
  magnitude_prune,
  magnitude_prune_svd,
};

namespace detail {
inline constexpr std::string_view combination_names[] = {"cat",
                                                         "linear",
                                                         "svd",
                                                         "ties",
                                                         "ties_svd",
                                                         "dare_linear",
                                                         "dare_ties",
                                                         "dare_linear_svd",
                                                         "dare_ties_svd",
                                                         "magnitude_prune",
                                                         "magnitude_prune_svd"};
}

/// Returns PEFT's name of a type.
[[nodiscard]] constexpr std::string_view name_of(CombinationType type) {
  return detail::combination_names[static_cast<std::size_t>(type)];
}

/// Returns the type that PEFT calls `name`. Throws ConfigError, listing all, for another name.
[[nodiscard]] inline CombinationType combination_type(std::string_view name) {
  std::string all;
  for (std::size_t i = 0; i < std::size(detail::combination_names); ++i) {
    if (detail::combination_names[i] == name) return static_cast<CombinationType>(i);
    all += (all.empty() ? "" : ", ") + std::string(detail::combination_names[i]);
  }
  throw ConfigError(
      message("combination_type: \"", printable(name), "\" is unknown, expected one of ", all));
}

/// Tells whether the result of `type` comes from singular values.
[[nodiscard]] constexpr bool uses_svd(CombinationType type) {
  return name_of(type).ends_with("svd");
}

/// Tells whether `type` prunes, by a density.
[[nodiscard]] constexpr bool uses_density(CombinationType type) {
  return type != CombinationType::cat && type != CombinationType::linear &&
         type != CombinationType::svd;
}

/// Tells whether `type` wants all adapters of one rank.
[[nodiscard]] constexpr bool needs_equal_ranks(CombinationType type) {
  return type != CombinationType::cat && !uses_svd(type);
}

/// The settings of combine_factors, by the names of PEFT's add_weighted_adapter.
struct CombineOptions {
  CombinationType combination_type = CombinationType::svd;
  std::optional<double> density = {};  ///< share that stays, in (0, 1], of types that prune
  MajoritySign majority_sign_method = MajoritySign::total;  ///< of the ties types
  std::optional<Index> svd_rank = {};    ///< of the svd types; the largest rank when left out
  std::optional<double> svd_clamp = {};  ///< in (0, 1]: see clamp_to_quantile
  std::uint64_t seed = 0;                ///< of what the dare types keep
  SvdOptions svd = {};                   ///< of the types that form a whole update: ties_svd ...
};

/// Throws ConfigError, naming `where`, unless every setting is in its range, each that the type
/// needs is there, and none that it would ignore.
template <class Where>
void validate(const CombineOptions& options, const Where& where) {
  const CombinationType type = options.combination_type;
  const auto require_use = [&](bool is_given, bool is_used, std::string_view what) {
    if (is_given && !is_used)
      throw ConfigError(
          message(where, ": ", what, " is given, which ", name_of(type), " has no use for"));
  };
  require_use(options.density.has_value(), uses_density(type), "density");
  require_use(options.svd_rank.has_value(), uses_svd(type), "svd_rank");
  require_use(options.svd_clamp.has_value(), uses_svd(type), "svd_clamp");
  if (uses_density(type) && !options.density)
    throw ConfigError(message(where, ": ", name_of(type), " needs a density in (0, 1]"));
  if (options.density) require_density(*options.density, where);
  if (options.svd_rank && *options.svd_rank < 1)
    throw ConfigError(message(where, ": svd_rank is ", *options.svd_rank, ", expected at least 1"));
  if (options.svd_clamp && !(*options.svd_clamp > 0 && *options.svd_clamp <= 1))
    throw ConfigError(
        message(where, ": svd_clamp is ", *options.svd_clamp, ", expected 0 < svd_clamp <= 1"));
  validate(options.svd, where);
}

}  // namespace lora
