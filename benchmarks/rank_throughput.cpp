// How much of the frozen weight's throughput a LoRA layer keeps, against its rank.
//
//     rank_throughput [--full] [Google Benchmark's options]
//
// Each row reports, from medians:
//
//     GFLOP/s          useful operations (see useful_flops) over the time of one call
//     frozen_GFLOP/s   those of the frozen product y = x W^T, timed alternately with the row
//     over_frozen      time of the row / time of the frozen product: 1 means that LoRA is free.
//                      The rows "frozen" hold the product to itself: how far they are from 1 is
//                      the noise of this run.
//     tokens/s
//
// By default about a hundred rows, in 3 to 4 minutes; --full makes every case at every size, to be
// narrowed down with --benchmark_filter:
//
//     rank_throughput --full --benchmark_filter='train/tokens:16/width:4096'
//
// One thread, unless OMP_NUM_THREADS is set. With LORA_BLAS the BLAS has a variable of its own.

#include <benchmark/benchmark.h>

#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>

#include "build_info.hpp"
#include "interleaved.hpp"
#include "layer_under_test.hpp"
#include "machine.hpp"
#include "rank_rows.hpp"

namespace lora::bench {
namespace {

void run(benchmark::State& state, const Row& row) {
  LayerUnderTest layer(row);
  Interleaved times;
  const auto measure = [&] {
    const double seconds = times.measure([&] { layer.run_frozen(); }, [&] { layer.run_case(); });
    benchmark::ClobberMemory();
    return seconds;
  };
  for ([[maybe_unused]] auto _ : state) state.SetIterationTime(measure());
  // A large shape fills the time asked for with one call; a median wants some more.
  constexpr std::size_t least_samples = 7;
  while (times.count() < least_samples) measure();

  constexpr double giga = 1e-9;
  const Row frozen{Case::frozen, row.tokens, row.width};
  state.counters["GFLOP/s"] = giga * useful_flops(row) / times.work();
  state.counters["frozen_GFLOP/s"] = giga * useful_flops(frozen) / times.reference();
  state.counters["over_frozen"] = times.work() / times.reference();
  state.counters["tokens/s"] = static_cast<double>(row.tokens) / times.work();
}

void add_context() {
  benchmark::AddCustomContext("cpu", processor_name());
  benchmark::AddCustomContext("threads", std::to_string(thread_count()));
  benchmark::AddCustomContext("compiler", std::string(compiler));
  benchmark::AddCustomContext("flags", std::string(compiler_flags));
  benchmark::AddCustomContext("eigen", eigen_version());
  benchmark::AddCustomContext("simd", Eigen::SimdInstructionSetsInUse());
#ifdef EIGEN_USE_BLAS
  benchmark::AddCustomContext("products", "BLAS");
#else
  benchmark::AddCustomContext("products", "Eigen kernels");
#endif
#ifndef NDEBUG
  benchmark::AddCustomContext("warning", "assertions are on: build with CMAKE_BUILD_TYPE=Release");
#endif
}

// Takes --full out of the arguments and tells whether it was there.
bool take_full(int& argc, char** argv) {
  bool full = false;
  int kept = 1;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--full")
      full = true;
    else
      argv[kept++] = argv[i];
  }
  argv[argc = kept] = nullptr;
  return full;
}

int run_all(int argc, char** argv) {
#ifdef _OPENMP
  if (std::getenv("OMP_NUM_THREADS") == nullptr) omp_set_num_threads(1);
#endif
  const bool full = take_full(argc, argv);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  add_context();
  for (const Row& row : full ? full_rows() : default_rows())
    benchmark::RegisterBenchmark(name_of(row).c_str(),
                                 [row](benchmark::State& state) { run(state, row); })
        ->UseManualTime()
        ->Unit(benchmark::kMicrosecond);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}

}  // namespace
}  // namespace lora::bench

int main(int argc, char** argv) {
  try {
    return lora::bench::run_all(argc, argv);
  } catch (const std::exception& error) {
    std::cerr << "rank_throughput: " << error.what() << '\n';
    return 1;
  }
}
