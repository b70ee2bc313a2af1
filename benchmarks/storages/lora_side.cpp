// Times the products of a training step with a frozen weight in each of its storages: y = x W^T and
// dx = dy W, and says how many bytes a weight takes and how far it is from the float that it was
// rounded from. run.py starts it and its peers.
//
// lora_storages [--size N] [--tokens N ...] [--threads N] [--turns N] [--cold | --hot]
//
// --cold, the default, reads other memory before each product, which then finds W outside of the
// caches: as in a model that is larger than they are. --hot leaves W where the last product did.
// Prints one JSON object; times are seconds, the fastest of the turns and their median.

#include <CLI/CLI.hpp>
#include <cmath>
#include <iostream>
#include <lora/io/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "../machine.hpp"
#include "all_storages.hpp"
#include "build_info.hpp"
#include "storage_times.hpp"

namespace lora::bench {
namespace {

struct Options {
  Index size = 4096;
  std::vector<Index> tokens{1, 16, 256};
  int turns = 10, threads = 1;
  bool hot = false, cold = true;
  std::size_t sweep_mib = 256;
};

// Normally distributed, as the weights of a language model about are: the error depends on it.
Matrix<float> normal_weight(Index size) {
  std::minstd_rand generator(1);
  std::normal_distribution<float> normal(0, 1 / std::sqrt(static_cast<float>(size)));
  Matrix<float> weight(size, size);
  for (float& value : weight.reshaped()) value = normal(generator);
  return weight;
}

io::Json context(const Options& options) {
  return {{"cpu", processor_name()},
          {"compiler", std::string(compiler)},
          {"flags", std::string(compiler_flags)},
          {"eigen", eigen_version()},
          {"simd", Eigen::SimdInstructionSetsInUse()},
          {"caches", options.hot ? "hot" : "cold"}};
}

io::Json row_of(const StorageUnderTest& storage, const StorageTimes& times) {
  const double forward = times.forward.fastest(), backward = times.backward.fastest();
  io::Json row{{"side", "here"},
               {"storage", storage.name},
               {"bytes_per_weight", storage.bytes_per_weight},
               {"forward", forward},
               {"backward", backward},
               {"step", forward + backward},
               {"median_forward", times.forward.middle()},
               {"median_backward", times.backward.middle()}};
  if (storage.error) row["error"] = *storage.error;
  return row;
}

io::Json measure(const Options& options) {
  const std::vector<StorageUnderTest> storages = all_storages(normal_weight(options.size));
  std::optional<CacheSweep> sweep;
  if (!options.hot) sweep.emplace(options.sweep_mib);
  io::Json result{{"context", context(options)}, {"rows", io::Json::array()}};
  for (const Index tokens : options.tokens) {
    const std::vector<StorageTimes> times = time_storages(
        storages, tokens, options.size, options.size, options.turns, sweep ? &*sweep : nullptr);
    for (std::size_t s = 0; s < storages.size(); ++s) {
      io::Json row = row_of(storages[s], times[s]);
      row["size"] = options.size;
      row["tokens"] = tokens;
      row["threads"] = options.threads;
      result["rows"].push_back(std::move(row));
    }
  }
  return result;
}

}  // namespace
}  // namespace lora::bench

int main(int argc, char** argv) {
  lora::bench::Options options;
  CLI::App app{"Times the storages of a frozen weight"};
  app.add_option("--size", options.size, "rows and columns of W, a multiple of 256")
      ->check(CLI::Range(256, 65536));
  app.add_option("--tokens", options.tokens, "rows of x")->check(CLI::Range(1, 65536));
  app.add_option("--turns", options.turns)->check(CLI::Range(1, 1000));
  app.add_option("--threads", options.threads)->check(CLI::Range(1, 1024));
  app.add_option("--sweep", options.sweep_mib, "MiB that are read before a cold product")
      ->check(CLI::Range(1, 65536));
  auto* const hot = app.add_flag("--hot", options.hot, "leave the weights in the caches");
  app.add_flag("--cold", options.cold, "read other memory before each product: the default")
      ->excludes(hot);
  CLI11_PARSE(app, argc, argv);
#ifdef _OPENMP
  omp_set_num_threads(options.threads);
#endif
  try {
    if (options.size % 256 != 0) throw lora::ConfigError("--size is a multiple of 256");
    std::cout << lora::bench::measure(options) << '\n';
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "lora_storages: " << error.what() << '\n';
    return 1;
  }
}
