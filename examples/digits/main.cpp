// Adapts a small network from one task to another with LoRA, and says what that costs and keeps.
//
// A network is trained on the handwritten digits 0 to 4 and frozen. Then it is adapted to 5 to 9
// three ways, on the same images and for as long: full fine-tuning, a new head alone, LoRA at
// several ranks. One table shows what each has cost, what it has learnt, and what it has forgotten.
// The adapters are saved, loaded again and merged, and the answers compared; the program fails if
// they do not agree. digits --help lists the options; README.md has the method and figures.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include "../support/progress_bar.hpp"
#include "../support/run_program.hpp"
#include "experiment.hpp"
#include "options.hpp"
#include "report.hpp"
#include "tune.hpp"

namespace digits {
namespace {

// Returns whether the answers agree.
bool run(const Options& options) {
  std::vector<SeedResults> results;
  const int trainings = 3 + static_cast<int>(options.ranks.size());
  for (int i = 0; i < options.seeds; ++i) {
    const std::uint64_t seed = options.seed + static_cast<std::uint64_t>(i);
    examples::ProgressBar progress(std::cerr, examples::error_output_is_terminal(),
                                   "seed " + std::to_string(seed), trainings * options.epochs);
    results.push_back(run_seed(options, seed, progress));
    progress.finish("done");
  }
  std::cout << '\n';
  print_table(results, std::cout);
  const bool agree = print_agreement(results, options, std::cout);
  print_comparison(results, std::cout);
  return agree;
}

}  // namespace
}  // namespace digits

int main(int argc, char** argv) {
  CLI::App app{"Adapts a network from the digits 0 to 4 to the digits 5 to 9 with LoRA"};
  digits::Options options;
  digits::add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  return examples::run_program("digits", options.threads, [&] {
    if (!options.tune) return digits::run(options);
    digits::tune(options, std::cout, std::cerr);
    return true;
  });
}
