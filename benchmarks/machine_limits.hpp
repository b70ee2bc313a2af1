#pragma once

#include <Eigen/Core>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <lora/core/parallel.hpp>
#include <vector>

namespace lora::bench {

/// Holds what this machine can do at most with a number of threads, as measured, in units per
/// second: what a benchmark's figures are shares of.
struct MachineLimits {
  int threads = 1;
  double fma_flops = 0;         ///< float operations, two for each multiply-add, in registers
  double read_bytes = 0;        ///< bytes of a large array that is read once
  double read_write_bytes = 0;  ///< bytes read plus bytes written, of an array changed in place
};

namespace detail {

using LimitPacket = Eigen::internal::packet_traits<float>::type;
inline constexpr Index limit_packet_size = Eigen::internal::packet_traits<float>::size;

// Ten chains keep two units of up to five cycles of latency busy, and with the two operands fit
// the sixteen registers that AVX2 has.
inline constexpr std::size_t limit_chains = 10;

// Runs `rounds` rounds, a multiple of eight, of one multiply-add in every chain; returns a value
// that depends on all.
inline float multiply_add_rounds(Index rounds) {
  namespace ei = Eigen::internal;
  LimitPacket sums[limit_chains];  // std::array would drop the vector type's attributes
  // The chains tend to 1: neither overflow nor numbers too small to be fast. None starts there, or
  // the compiler would see that it stays and leave it out.
  for (std::size_t i = 0; i < limit_chains; ++i)
    sums[i] = ei::pset1<LimitPacket>(static_cast<float>(i + 2));
  const LimitPacket factor = ei::pset1<LimitPacket>(0.75F), term = ei::pset1<LimitPacket>(0.25F);
  // Eight rounds a turn, so that the loop itself costs little.
  constexpr Index in_turn = 8;
  for (Index round = 0; round < rounds; round += in_turn)
    for (Index i = 0; i < in_turn; ++i)
      for (LimitPacket& sum : sums) sum = ei::pmadd(sum, factor, term);
  float total = 0;
  for (const LimitPacket& sum : sums) total += ei::predux(sum);
  return total;
}

// Sums `count` floats, a multiple of sixteen packets, in four runs side by side: more cache lines
// are on their way at once than in a single run, which some processors need to fill their memory's
// width.
inline float sum_of(const float* data, Index count) {
  namespace ei = Eigen::internal;
  constexpr Index runs = 4, packets = 4;
  const Index run = count / runs;
  LimitPacket sums[runs];
  for (LimitPacket& sum : sums) sum = ei::pset1<LimitPacket>(0);
  for (Index i = 0; i < run; i += packets * limit_packet_size)
    for (Index j = 0; j < runs; ++j)
      for (Index k = 0; k < packets; ++k)
        sums[j] =
            ei::padd(sums[j], ei::ploadu<LimitPacket>(data + j * run + i + k * limit_packet_size));
  float total = 0;
  for (const LimitPacket& sum : sums) total += ei::predux(sum);
  return total;
}

// Halves the distance of `count` floats to 1, a multiple of one packet.
inline void change_in_place(float* data, Index count) {
  namespace ei = Eigen::internal;
  const LimitPacket half = ei::pset1<LimitPacket>(0.5F);
  for (Index i = 0; i < count; i += limit_packet_size)
    ei::pstoreu(data + i, ei::pmadd(ei::ploadu<LimitPacket>(data + i), half, half));
}

// Calls body(thread) on every thread at once, several times; returns the seconds of the fastest.
template <class Body>
double fastest_of(int repetitions, int threads, const Body& body) {
  using Clock = std::chrono::steady_clock;
  double best = 0;
  for (int i = 0; i < repetitions; ++i) {
    const Clock::time_point start = Clock::now();
    parallel_for(threads, threads, body);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    if (i == 0 || seconds < best) best = seconds;
  }
  return best;
}

}  // namespace detail

/// Measures the limits for `threads` threads of OpenMP, which is at least 1, with the widest
/// vectors that the compiler's flags allow: each the best of `repetitions` over some hundredths
/// of a second, through an array of `array_bytes`, which should be a multiple of the last cache.
[[nodiscard]] inline MachineLimits measure_limits(int threads, int repetitions = 9,
                                                  std::size_t array_bytes = std::size_t{1} << 28,
                                                  Index fma_rounds = Index{1} << 24) {
  // Written by every thread in one place of its own, so that no work can be left out.
  std::vector<float> results(static_cast<std::size_t>(threads) * 16);
  const auto result_of = [&](Index thread) -> float& {
    return results[static_cast<std::size_t>(thread) * 16];
  };
  MachineLimits limits{.threads = threads};

  const double fma_seconds = detail::fastest_of(repetitions, threads, [&](Index thread) {
    result_of(thread) = detail::multiply_add_rounds(fma_rounds);
  });
  limits.fma_flops = 2.0 * static_cast<double>(detail::limit_chains) *
                     static_cast<double>(detail::limit_packet_size) *
                     static_cast<double>(fma_rounds) * threads / fma_seconds;

  constexpr Index step = 16 * detail::limit_packet_size;
  const Index part =
      std::max<Index>(1, static_cast<Index>(array_bytes / sizeof(float)) / threads / step) * step;
  const double part_bytes = static_cast<double>(part) * sizeof(float);
  std::vector<float> array(static_cast<std::size_t>(part * threads), 1.0F);
  const double read_seconds = detail::fastest_of(repetitions, threads, [&](Index thread) {
    result_of(thread) += detail::sum_of(array.data() + thread * part, part);
  });
  limits.read_bytes = part_bytes * threads / read_seconds;

  const double change_seconds = detail::fastest_of(repetitions, threads, [&](Index thread) {
    detail::change_in_place(array.data() + thread * part, part);
  });
  limits.read_write_bytes = 2 * part_bytes * threads / change_seconds;

  // Looked at once, so that the sums above are wanted.
  volatile float kept = results.front();
  static_cast<void>(kept);
  return limits;
}

}  // namespace lora::bench
