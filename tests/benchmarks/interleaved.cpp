#include "benchmarks/interleaved.hpp"

#include <string>
#include <thread>

#include "support/catch.hpp"

using namespace lora::bench;

TEST_CASE("the median is the middle value") {
  CHECK(median({}) == 0);
  CHECK(median({3}) == 3);
  CHECK(median({9, 1, 5}) == 5);
  CHECK(median({4, 1, 100, 2}) == 3);
  CHECK(median({2, 2, 2, 1000, 1000}) == 2);
}

TEST_CASE("reference and work run in turns, and each keeps its own times") {
  Interleaved times;
  std::string order;
  const auto reference = [&] { order += 'r'; };
  const auto work = [&] {
    order += 'w';
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  };
  for (int i = 0; i < 3; ++i) CHECK(times.measure(reference, work) >= 0.002);
  CHECK(order == "rwrwrw");
  CHECK(times.count() == 3);
  // A sleep never ends early, so this holds on any machine.
  CHECK(times.work() >= 0.002);
  CHECK(times.reference() >= 0);
}
