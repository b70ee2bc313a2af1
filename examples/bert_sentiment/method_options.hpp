#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "comparison_options.hpp"
#include "method.hpp"

namespace sentiment {

/// What the comparison of methods is asked for.
struct MethodOptions : ComparisonOptions {
  std::vector<Family> families{Family::head, Family::lora, Family::bottleneck, Family::last_layers,
                               Family::full};
  std::vector<Index> ranks{1, 4, 16};
  std::vector<Index> bottlenecks{8, 64};
  std::vector<Index> layers{1, 2};
  /// Of each family. Of several the one that is best on validation texts under the first seed is
  /// taken for all seeds, by each method for itself.
  std::map<Family, std::vector<double>> learning_rates{{Family::lora, {3e-3}},
                                                       {Family::full, {3e-4, 1e-3}},
                                                       {Family::bottleneck, {1e-3, 2e-3}},
                                                       {Family::last_layers, {3e-4, 1e-3}},
                                                       {Family::head, {1e-2, 3e-2, 1e-1}}};

  [[nodiscard]] bool wants(Family family) const {
    return std::find(families.begin(), families.end(), family) != families.end();
  }
};

/// Adds every option to `app`, as add_comparison_options does.
inline void add_method_options(CLI::App& app, MethodOptions& options, bert::Options& base) {
  for (const char* name : {"--rank", "--alpha"}) app.remove_option(app.get_option_no_throw(name));
  add_comparison_options(app, options, base);
  const auto sizes = CLI::Range(1, 4096);
  const std::map<std::string, Family> names{{"head", Family::head},
                                            {"lora", Family::lora},
                                            {"bottleneck", Family::bottleneck},
                                            {"layers", Family::last_layers},
                                            {"full", Family::full}};
  app.add_option("--families", options.families,
                 "what is compared: of head,lora,bottleneck,layers,full [all]")
      ->delimiter(',')
      ->transform(CLI::CheckedTransformer(names).description(""))
      ->type_name("NAME");
  app.add_option("--ranks", options.ranks, "of LoRA, as in 1,4,16; alpha is twice the rank")
      ->delimiter(',')
      ->check(sizes)
      ->capture_default_str();
  app.add_option("--bottlenecks", options.bottlenecks, "widths of bottleneck adapters")
      ->delimiter(',')
      ->check(sizes)
      ->capture_default_str();
  app.add_option("--layers", options.layers, "how many of the last layers are trained")
      ->delimiter(',')
      ->check(sizes)
      ->capture_default_str();
  for (const auto& [name, family] : names)
    add_learning_rates(app, name, options.learning_rates[family]);
}

}  // namespace sentiment
