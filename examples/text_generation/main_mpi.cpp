// The command train of text_generation on several ranks, with the adapter of one, bit for bit:
//
//     mpirun -n 4 text_generation_mpi --model ... --data ... --shards 8
//
// Each rank has the model, in bfloat16, and computes its shards of every batch.

#include <iostream>

#include "../support/mpi_ranks.hpp"
#include "../support/progress_bar.hpp"
#include "../support/run_program.hpp"
#include "commands.hpp"

int main(int argc, char** argv) {
  return lora::distributed::run_on_ranks(argc, argv, [&](const auto& ranks) {
    textgen::Common common;
    textgen::TrainOptions options;
    lora::distributed::ShardOptions shards;
    CLI::App app{"Adapts a language model with LoRA, on several machines"};
    textgen::add_common(app, common, false);
    app.remove_option(app.get_option("--weights"));
    textgen::add_data(app, options);
    textgen::add_training(app, options);
    app.add_flag("--resume", options.resume, "go on from the checkpoint in --out");
    examples::add_shard_options(app, shards);
    CLI11_PARSE(app, argc, argv);
    examples::use_threads(common.threads);
    std::ostream nowhere(nullptr);
    textgen::with_family(common.model, [&]<class Family>(Family) {
      textgen::train_command<Family>(
          common, options, ranks.leads() ? std::cout : nowhere, ranks.leads() ? std::cerr : nowhere,
          ranks.leads() && examples::error_output_is_terminal(), examples::MpiRanks(ranks, shards));
    });
    return 0;
  });
}
