// Times a batch whose rows go to different adapters of one layer, beside the same batch with one
// adapter. run.py starts it and its peer.
//
// lora_adapters [--sizes N ...] [--adapters N ...] [--rank N] [--rows N] [--threads N] [--turns N]
//
// An adapter count of 0 is a batch without routes. Prints one JSON object; times are seconds, the
// fastest of the turns and their median.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <lora/io/json.hpp>
#include <string>
#include <vector>

#include "../interleaved.hpp"
#include "../machine.hpp"
#include "build_info.hpp"
#include "mixed_batch_case.hpp"

namespace lora::bench {
namespace {

struct Options {
  std::vector<Index> sizes{1024, 2048, 4096};
  std::vector<int> adapters{0, 1, 8, 64};
  Index rank = 8, rows = 64;
  int turns = 30, threads = 1;
};

void add_times(io::Json& row, const std::string& name, const std::vector<double>& seconds) {
  row[name] = *std::min_element(seconds.begin(), seconds.end());
  row["median_" + name] = median(seconds);
}

io::Json measure(const Options& options) {
  io::Json result{{"context",
                   {{"cpu", processor_name()},
                    {"compiler", std::string(compiler)},
                    {"flags", std::string(compiler_flags)},
                    {"eigen", eigen_version()},
                    {"simd", Eigen::SimdInstructionSetsInUse()}}},
                  {"rows", io::Json::array()}};
  const int most = std::max(1, *std::max_element(options.adapters.begin(), options.adapters.end()));
  for (const Index size : options.sizes) {
    MixedBatchCase mixed(size, options.rank, most, options.rows);
    std::vector<std::vector<double>> evaluation(options.adapters.size()),
        training(options.adapters.size());
    // In turns, so that whatever else the machine does falls on all alike; the first, in which
    // memory is taken, does not count.
    for (int turn = -1; turn < options.turns; ++turn)
      for (std::size_t i = 0; i < options.adapters.size(); ++i) {
        mixed.route(options.adapters[i]);
        const double evaluated = mixed.evaluate(), trained = mixed.train();
        if (turn < 0) continue;
        evaluation[i].push_back(evaluated);
        training[i].push_back(trained);
      }
    for (std::size_t i = 0; i < options.adapters.size(); ++i) {
      io::Json row{{"side", "here"},
                   {"size", size},
                   {"rank", options.rank},
                   {"rows", options.rows},
                   {"adapters", options.adapters[i]},
                   {"threads", options.threads}};
      add_times(row, "evaluation", evaluation[i]);
      add_times(row, "training", training[i]);
      result["rows"].push_back(std::move(row));
    }
  }
  return result;
}

}  // namespace
}  // namespace lora::bench

int main(int argc, char** argv) {
  lora::bench::Options options;
  CLI::App app{"Times mixed batches"};
  app.add_option("--sizes", options.sizes, "rows and columns of W")->check(CLI::Range(1, 65536));
  app.add_option("--adapters", options.adapters, "adapters of a batch, 0 for no routes")
      ->check(CLI::Range(0, 65536));
  app.add_option("--rank", options.rank)->check(CLI::Range(1, 65536));
  app.add_option("--rows", options.rows, "rows of a batch")->check(CLI::Range(1, 65536));
  app.add_option("--turns", options.turns)->check(CLI::Range(1, 10000));
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 1024));
  CLI11_PARSE(app, argc, argv);
#ifdef _OPENMP
  omp_set_num_threads(options.threads);
#endif
  try {
    std::cout << lora::bench::measure(options) << '\n';
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "lora_adapters: " << error.what() << '\n';
    return 1;
  }
}
