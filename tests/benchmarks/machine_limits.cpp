#include "benchmarks/machine_limits.hpp"

#include <cmath>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::bench;

TEST_CASE("a machine's limits are numbers that a machine may have") {
  for (const int threads : {1, 2}) {
    const MachineLimits limits = measure_limits(threads, 2, std::size_t{1} << 22, Index{1} << 16);
    CHECK(limits.threads == threads);
    for (const double limit : {limits.fma_flops, limits.read_bytes, limits.read_write_bytes}) {
      CHECK(limit > 1e6);
      CHECK(limit < 1e16);
    }
  }
}

TEST_CASE("an array that no thread could share is still read") {
  const MachineLimits limits = measure_limits(3, 1, 1, 8);
  CHECK(std::isfinite(limits.read_bytes));
  CHECK(limits.read_bytes > 0);
}

TEST_CASE("what the limits time is really computed") {
  using bench::detail::limit_packet_size;
  // Every chain i starts at i + 2 and halves its distance to 1 by a quarter a round.
  constexpr Index rounds = 16;
  double expected = 0;
  for (std::size_t i = 0; i < bench::detail::limit_chains; ++i)
    expected += 1 + static_cast<double>(i + 1) * std::pow(0.75, rounds);
  expected *= static_cast<double>(limit_packet_size);
  CHECK(bench::detail::multiply_add_rounds(rounds) == Approx(expected).epsilon(1e-5));

  const Index count = 32 * limit_packet_size;
  std::vector<float> values(static_cast<std::size_t>(count));
  float sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) sum += values[i] = static_cast<float>(i % 7);
  CHECK(bench::detail::sum_of(values.data(), count) == sum);  // small whole numbers: exact

  bench::detail::change_in_place(values.data(), count);
  for (std::size_t i = 0; i < values.size(); ++i)
    REQUIRE(values[i] == static_cast<float>(i % 7) / 2 + 0.5F);
}
