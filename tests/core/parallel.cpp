#include <lora/core/parallel.hpp>

#include <atomic>
#include <stdexcept>
#include <vector>

#include "support/catch.hpp"
#include "support/threads.hpp"

using namespace lora;

TEST_CASE("parallel_for calls every task once") {
  for (const int threads : {1, 2, 3}) {
    std::vector<std::atomic<int>> calls(37);
    parallel_for(37, threads, [&](Index task) { ++calls[static_cast<std::size_t>(task)]; });
    for (const auto& count : calls) CHECK(count == 1);
  }
}

TEST_CASE("parallel_for throws what a task throws") {
  for (const int threads : {1, 2})
    CHECK_THROWS_AS(parallel_for(8, threads,
                                 [](Index task) {
                                   if (task == 5) throw std::domain_error("five");
                                 }),
                    std::domain_error);
}

TEST_CASE("small work, one task and work inside a parallel region stay on one thread") {
  const test::Threads four(4);
  CHECK(threads_for(100, 10) == 1);
  CHECK(threads_for(1, 1e12) == 1);
  CHECK(threads_for(0, 1e12) == 1);
#ifdef _OPENMP
  CHECK(threads_for(100, 1e12) == 4);
  CHECK(threads_for(3, 1e12) == 3);
  std::atomic<int> most{0};
#pragma omp parallel num_threads(2)
  {
    const int inside = threads_for(100, 1e12);
    if (inside > most) most = inside;
  }
  CHECK(most == 1);
#endif
}
