#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "../bert/options.hpp"
#include "../support/number_options.hpp"

namespace sentiment {

using bert::Index;

/// What every comparison is asked for beyond bert::Options.
struct ComparisonOptions {
  int seeds = 3;
  std::string untouched = {};  ///< text that the base's behaviour is looked at on
  std::string plot = {};
};

/// Adds every option to `app`, which then parses into `options`, and --resume into that of `base`.
/// Takes away those of bert::add_options that would say the same once more, or that a comparison
/// has no use for.
inline void add_comparison_options(CLI::App& app, ComparisonOptions& options, bert::Options& base) {
  for (const char* name : {"--learning-rate", "--checkpoint-every", "--resume", "--record"})
    app.remove_option(app.get_option_no_throw(name));
  app.add_flag("--resume", base.resume, "take what is done already from results.jsonl in --out");
  app.add_option("--seeds", options.seeds, "repeat over this many: mean and spread")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--untouched", options.untouched,
                 "file of CoNLL columns whose sentences no method has seen [the test sentences]");
  app.add_option("--plot", options.plot, "SVG file to draw");
}

/// Adds --`name`-learning-rates.
inline void add_learning_rates(CLI::App& app, const std::string& name, std::vector<double>& rates) {
  app.add_option("--" + name + "-learning-rates", rates,
                 "at their peak; of several the best on validation texts is taken")
      ->delimiter(',')
      ->check(examples::positive_number_up_to(1))
      ->capture_default_str();
}

}  // namespace sentiment
