#pragma once

#include <CLI/CLI.hpp>
#include <iostream>
#include <lora/text.hpp>
#include <string>

#include "../support/progress_bar.hpp"
#include "../support/run_program.hpp"
#include "model.hpp"
#include "options.hpp"
#include "run.hpp"
#include "text_lengths.hpp"

namespace bert {

/// Loads tokenizer and data, and runs. make_problem(data, tokenizer, max_length) returns the task's
/// Problem; `ranks` are as run wants them.
template <BertTask task, class MakeProblem, class Ranks = examples::OneProcess>
void load_and_run(const Options& options, const MakeProblem& make_problem, std::ostream& out,
                  std::ostream& errors, bool terminal, const Ranks& ranks = {}) {
  require_model(options.model);
  const auto tokenizer = lora::text::load_bert_tokenizer(options.model);
  const auto problem = make_problem(options.data, tokenizer, options.max_length);
  require_positions(problem, lora::models::read_bert_config(options.model).max_position_embeddings);
  run<task>(options, problem, tokenizer, out, errors, terminal, ranks);
}

/// Has the rest of a program: reads the command line into `options`, and has load_and_run do the
/// rest. Returns what main returns.
template <BertTask task, class MakeProblem>
int program(int argc, char** argv, const std::string& purpose, const std::string& name,
            const std::string& how_to_get_the_data, Options options,
            const MakeProblem& make_problem) {
  CLI::App app{purpose};
  app.footer("Weights. " + std::string(how_to_get_a_model) + "\n\nData. " + how_to_get_the_data);
  add_options(app, options, "the labelled sentences: see below");
  CLI11_PARSE(app, argc, argv);
  return examples::run_program(name.c_str(), options.threads, [&] {
    load_and_run<task>(options, make_problem, std::cout, std::cerr,
                       examples::error_output_is_terminal());
    return true;
  });
}

}  // namespace bert
