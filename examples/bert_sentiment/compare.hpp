#pragma once

#include <fstream>
#include <functional>
#include <iostream>
#include <lora/text.hpp>
#include <string>
#include <utility>
#include <vector>

#include "../bert/model.hpp"
#include "../bert/options.hpp"
#include "../support/progress_bar.hpp"
#include "experiment.hpp"
#include "methods_report.hpp"
#include "problem.hpp"

namespace sentiment {

/// Draws [seed][method] as an SVG file; the caption says what was measured.
using Draw = std::function<std::string(const std::vector<std::vector<Result>>&, std::string)>;

/// Runs a comparison of what `methods_of` lists, prints its tables, and draws it where that is
/// wanted. Throws lora::FileError.
inline void compare(const bert::Options& options, const ComparisonOptions& wanted,
                    const MethodsOf& methods_of, const Draw& draw) {
  bert::require_model(options.model);
  const auto tokenizer = lora::text::load_bert_tokenizer(options.model);
  const auto problem = make_problem(options.data, tokenizer, options.max_length);
  const auto comparison = run_methods(options, wanted, methods_of, problem, tokenizer, std::cerr,
                                      examples::error_output_is_terminal());
  std::cout << '\n';
  print_trials(comparison, std::cout);
  print_methods(comparison.results, std::cout);
  if (wanted.plot.empty()) return;
  std::ofstream file(wanted.plot, std::ios::binary);
  file << draw(comparison.results,
               lora::message(options.epochs, " epochs, ", wanted.seeds,
                             wanted.seeds == 1 ? " seed" : " seeds", ", ", problem.train.size(),
                             " sentences to train, ", problem.test.size(), " to test"));
  if (!file.flush()) throw lora::FileError(wanted.plot + ": cannot be written");
}

}  // namespace sentiment
