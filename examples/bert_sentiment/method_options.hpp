#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "../bert/options.hpp"
#include "../support/number_options.hpp"

namespace sentiment {

using bert::Index;

/// Names the ways of adapting that are compared, for options and drawing.
enum class Family { lora, full, bottleneck, last_layers, head };

/// What is asked for beyond bert::Options.
struct MethodOptions {
  std::vector<Family> families{Family::head, Family::lora, Family::bottleneck, Family::last_layers,
                               Family::full};
  std::vector<Index> ranks{1, 4, 16};
  std::vector<Index> bottlenecks{8, 64};
  std::vector<Index> layers{1, 2};
  int seeds = 3;
  /// Of each family. Of several the one that is best on validation texts under the first seed is
  /// taken for all seeds, by each method for itself.
  std::map<Family, std::vector<double>> learning_rates{{Family::lora, {3e-3}},
                                                       {Family::full, {3e-4, 1e-3}},
                                                       {Family::bottleneck, {1e-3, 2e-3}},
                                                       {Family::last_layers, {3e-4, 1e-3}},
                                                       {Family::head, {1e-2, 3e-2, 1e-1}}};
  std::string untouched = {};  ///< text that the base's behaviour is looked at on
  std::string plot = {};

  [[nodiscard]] bool wants(Family family) const {
    return std::find(families.begin(), families.end(), family) != families.end();
  }
};

/// Adds every option to `app`, which then parses into `options`. Takes away those of
/// bert::add_options that would say the same once more, or that a comparison has no use for.
inline void add_method_options(CLI::App& app, MethodOptions& options) {
  for (const char* name :
       {"--rank", "--alpha", "--learning-rate", "--checkpoint-every", "--resume", "--record"})
    app.remove_option(app.get_option_no_throw(name));
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
  app.add_option("--seeds", options.seeds, "repeat over this many: mean and spread")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  for (const auto& [name, family] : names)
    app.add_option("--" + name + "-learning-rates", options.learning_rates[family],
                   "at their peak; of several the best on validation texts is taken")
        ->delimiter(',')
        ->check(examples::positive_number_up_to(1))
        ->capture_default_str();
  app.add_option("--untouched", options.untouched,
                 "file of CoNLL columns whose sentences no method has seen [the test sentences]");
  app.add_option("--plot", options.plot, "SVG file to draw");
}

}  // namespace sentiment
