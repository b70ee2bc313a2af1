#pragma once

#include <cstddef>

namespace lora::test {

/// What the program has taken from the heap, by any route (operator new, malloc, Eigen's own), on
/// any thread, since it started.
struct Allocations {
  std::size_t count = 0;
  std::size_t bytes = 0;
};

/// Returns the totals so far.
[[nodiscard]] Allocations allocations_so_far();

/// Returns what `action` takes from the heap.
template <class Action>
[[nodiscard]] Allocations allocations_of(Action&& action) {
  const Allocations before = allocations_so_far();
  action();
  const Allocations after = allocations_so_far();
  return {after.count - before.count, after.bytes - before.bytes};
}

}  // namespace lora::test
