#pragma once

#include <array>
#include <cstddef>

#include <lora/core/matrix.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

namespace lora::test {

/// Checks that step() gives the same bits in `outputs` for any number of threads, and allocates
/// nothing when it is called again.
template <class T, class Step, class... Output>
void check_repeatable(const Step& step, Output&... outputs) {
  std::array<Matrix<T>, sizeof...(Output)> one;
  for (const int count : {1, 2, 3}) {
    CAPTURE(count);
    const Threads threads(count);
    (outputs.resize(0, 0), ...);
    step();
    if (count == 1) one = {outputs...};
    std::size_t i = 0;
    const auto check = [&](const Matrix<T>& output) { CHECK(same_bits(output, one[i++])); };
    (check(outputs), ...);
    const Threads countable(countable_threads(count));
    step();
    CHECK(allocations_of(step).count == 0);
  }
}

}  // namespace lora::test
