#pragma once

#include <CLI/CLI.hpp>
#include <iostream>
#include <lora/mpi.hpp>
#include <string>

#include "../support/mpi_ranks.hpp"
#include "../support/progress_bar.hpp"
#include "../support/run_program.hpp"
#include "program.hpp"

namespace bert {

/// Does what program does, on the ranks that mpirun starts: each has the model and the data, and
/// computes its share of every batch; the first prints, validates and writes.
template <BertTask task, class MakeProblem>
int mpi_program(int argc, char** argv, const std::string& purpose,
                const std::string& how_to_get_the_data, Options options,
                const MakeProblem& make_problem) {
  return lora::distributed::run_on_ranks(argc, argv, [&](const auto& ranks) {
    CLI::App app{purpose};
    app.footer("Weights. " + std::string(how_to_get_a_model) + "\n\nData. " + how_to_get_the_data);
    add_options(app, options, "the labelled sentences: see below");
    lora::distributed::ShardOptions shards;
    examples::add_shard_options(app, shards);
    CLI11_PARSE(app, argc, argv);
    examples::use_threads(options.threads);
    std::ostream nowhere(nullptr);
    load_and_run<task>(options, make_problem, ranks.leads() ? std::cout : nowhere,
                       ranks.leads() ? std::cerr : nowhere,
                       ranks.leads() && examples::error_output_is_terminal(),
                       examples::MpiRanks(ranks, shards));
    return 0;
  });
}

}  // namespace bert
