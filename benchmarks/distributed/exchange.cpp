// Times what a step of several ranks adds to that of one: the sum of their gradients.
//
//     mpirun -n 2 exchange [MILLISECONDS A SIZE]
//
// Prints for adapters of several sizes the bytes that a rank sends, and the median time of the
// slowest rank.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <vector>

#include <lora/mpi.hpp>

namespace {

struct Adapter {
  const char* name;
  std::size_t elements;
};

// Adapters of all linear layers.
constexpr Adapter adapters[] = {
    {"MiniLM, rank 8", 331'776},        {"MiniLM, rank 64", 2'654'208},
    {"BERT-large, rank 8", 3'538'944},  {"BERT-large, rank 64", 28'311'552},
    {"Llama-3-8B, rank 8", 20'971'520},
};

double seconds(const lora::distributed::Communicator& ranks, std::size_t elements, double budget) {
  using Clock = std::chrono::steady_clock;
  std::vector<float> gradient(elements, 0.5F), room((elements + 1) / 2);
  std::vector<double> times;
  const auto begin = Clock::now();
  for (bool more = true; more;) {
    lora::distributed::ShardSum sum{1, 8, 8};
    ranks.wait();
    const auto start = Clock::now();
    lora::distributed::sum_over_ranks<float>(ranks, sum, gradient, room, 1);
    ranks.wait();
    times.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    const std::chrono::duration<double> spent = Clock::now() - begin;
    more = ranks.from_leader(times.size() < 5 || spent.count() < budget);
  }
  std::nth_element(times.begin(), times.begin() + static_cast<std::ptrdiff_t>(times.size() / 2),
                   times.end());
  return times[times.size() / 2];
}

}  // namespace

int main(int argc, char** argv) {
  return lora::distributed::run_on_ranks(argc, argv, [&](const auto& ranks) {
    const double budget = (argc > 1 ? std::atof(argv[1]) : 500) / 1000;
    for (const auto& [name, elements] : adapters) {
      const double time = seconds(ranks, elements, budget);
      const double bytes = 4 * static_cast<double>(elements);
      const double sent = 2 * bytes * (ranks.size() - 1) / ranks.size();
      if (ranks.leads())
        std::cout << ranks.size() << " ranks, " << std::left << std::setw(20) << name << std::right
                  << std::fixed << std::setprecision(2) << std::setw(9) << bytes / 1e6
                  << " MB, sent " << std::setw(9) << sent / 1e6 << " MB, " << std::setw(9)
                  << 1e3 * time << " ms\n";
    }
    return 0;
  });
}
