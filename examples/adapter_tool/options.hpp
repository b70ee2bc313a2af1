#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <lora/adapters/combine_options.hpp>
#include <lora/adapters/resize_factors.hpp>
#include <optional>
#include <string>
#include <vector>

#include "../support/number_options.hpp"

namespace adaptertool {

/// What the commands are asked for; each uses a part of it.
struct Options {
  std::vector<std::string> adapters = {};  ///< folders in PEFT's layout
  std::vector<double> weights = {};        ///< of adapters, in their order; none: 1 each
  std::string base = {};                   ///< a model's folder in Hugging Face's layout
  std::string tuned = {};                  ///< a model that was tuned from it
  std::string out = {};
  std::string dtype = "F32";  ///< of the numbers in a file that is written
  std::optional<lora::Index> rank = {};
  std::optional<double> energy = {};
  std::string type = "svd";
  std::optional<double> density = {};
  std::string sign = "total";
  std::optional<double> clamp = {};
  std::uint64_t seed = 0;
  double weight = 1;
  bool all = false;         ///< lists every module
  bool embeddings = false;  ///< are extracted too
  bool exact = false;       ///< decompositions by Eigen's BDCSVD
  std::string prefix = {};
  int threads = 1;

  /// Returns what combine_adapters is to do. Throws ConfigError for an unknown type.
  [[nodiscard]] lora::CombineOptions combination() const {
    return {.combination_type = lora::combination_type(type),
            .density = density,
            .majority_sign_method =
                sign == "total" ? lora::MajoritySign::total : lora::MajoritySign::frequency,
            .svd_rank = rank,
            .svd_clamp = clamp,
            .seed = seed,
            .svd = {.exact = exact}};
  }

  [[nodiscard]] lora::RankChoice choice() const { return {rank, energy}; }
};

inline void add_adapter(CLI::App& app, Options& options, const std::string& or_what = {}) {
  app.add_option("adapter", options.adapters, "folder in PEFT's layout" + or_what)
      ->required()
      ->expected(1);
}

inline void add_out(CLI::App& app, Options& options, const std::string& what) {
  app.add_option("--out", options.out, what)->required();
}

inline void add_dtype(CLI::App& app, Options& options) {
  app.add_option("--dtype", options.dtype, "of the adapter's numbers in its file")
      ->check(CLI::IsMember({"F32", "F16", "BF16"}))
      ->capture_default_str();
}

inline void add_choice(CLI::App& app, Options& options) {
  app.add_option("--rank", options.rank, "of every module, or the most with --energy")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--energy", options.energy,
                 "share of the squared singular values that stays: a rank for each module")
      ->check(examples::positive_number_up_to(1));
}

inline void add_decomposition(CLI::App& app, Options& options) {
  app.add_flag("--exact", options.exact,
               "decomposes whole matrices, which takes minutes each, instead of looking for the "
               "largest singular values");
}

inline void add_combination(CLI::App& app, Options& options) {
  app.add_option("adapters", options.adapters, "folders in PEFT's layout")->required();
  app.add_option("--weights", options.weights,
                 "of the adapters, in their order; negative ones subtract [1 each]")
      ->delimiter(',')
      ->check(examples::finite_number());
  app.add_option("--type", options.type,
                 "cat, linear, svd, ties, ties_svd, dare_linear, dare_ties, dare_linear_svd, "
                 "dare_ties_svd, magnitude_prune or magnitude_prune_svd, as PEFT's "
                 "add_weighted_adapter")
      ->capture_default_str();
  app.add_option("--rank", options.rank, "of the result of the svd types [the largest]")
      ->check(CLI::Range(1, 1 << 20));
  app.add_option("--density", options.density, "share that stays, of the types that prune")
      ->check(examples::positive_number_up_to(1));
  app.add_option("--majority-sign", options.sign, "how the ties types elect a sign")
      ->check(CLI::IsMember({"total", "frequency"}))
      ->capture_default_str();
  app.add_option("--clamp", options.clamp, "quantile that the svd types' factors are clamped to")
      ->check(examples::positive_number_up_to(1));
  app.add_option("--seed", options.seed, "of what the dare types keep")->capture_default_str();
}

}  // namespace adaptertool
