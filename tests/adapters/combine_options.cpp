#include <lora/adapters/combine_options.hpp>

#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("types go by PEFT's names") {
  for (const std::string_view name : detail::combination_names)
    CHECK(name_of(combination_type(name)) == name);
  CHECK(combination_type("dare_linear_svd") == CombinationType::dare_linear_svd);
  CHECK(combination_type("magnitude_prune_svd") == CombinationType::magnitude_prune_svd);
  check_throws<ConfigError>([] { static_cast<void>(combination_type("dare")); },
                            "\"dare\" is unknown, expected one of cat, linear, svd, ties");
}

TEST_CASE("settings that are missing, out of range or of no use are refused") {
  using enum CombinationType;
  const auto refused = [](const CombineOptions& options, const std::string& why) {
    check_throws<ConfigError>([&] { validate(options, "here"); }, why);
  };
  validate(CombineOptions{}, "here");
  validate(CombineOptions{.combination_type = ties_svd, .density = 1, .svd_rank = 3}, "here");
  refused({.combination_type = ties}, "here: ties needs a density in (0, 1]");
  refused({.combination_type = cat, .density = 0.5}, "density is given, which cat has no use for");
  refused({.combination_type = linear, .svd_rank = 2}, "svd_rank is given, which linear has no");
  refused({.combination_type = ties, .density = 1, .svd_clamp = 0.5}, "svd_clamp is given");
  refused({.combination_type = dare_ties, .density = 0}, "density is 0, expected 0 < density <= 1");
  refused({.svd_rank = 0}, "svd_rank is 0, expected at least 1");
  refused({.svd_clamp = 1.5}, "svd_clamp is 1.5, expected 0 < svd_clamp <= 1");
  refused({.svd = {.oversampling = -1}}, "oversampling is -1");
}
