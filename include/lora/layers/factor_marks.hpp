#pragma once

#include <cstddef>

namespace lora::detail {

// Backward computes with the factors of forward too: an optimizer's step in between would spoil its
// gradients. So forward leaves marks of an adapter's A, B and with DoRA m on its frame of the tape.

/// Leaves the marks of `adapter` on `frame`.
template <class Adapter, class Frame>
void note_factors(const Adapter& adapter, Frame& frame) {
  frame.note_input(adapter.a().value);
  frame.note_input(adapter.b().value);
  if (adapter.config().use_dora) frame.note_input(adapter.magnitude().value);
}

/// Returns how many marks note_factors leaves.
template <class Adapter>
[[nodiscard]] std::size_t factor_marks(const Adapter& adapter) {
  return adapter.config().use_dora ? 3 : 2;
}

/// Throws StateError, naming `where`, unless A, B and m are as note_factors found them. `first`
/// counts the frame's marks before theirs.
template <class Adapter, class Frame, class Where>
void require_noted_factors(const Adapter& adapter, const Frame& frame, std::size_t first,
                           const Where& where) {
  frame.mark(first).require_elements(adapter.a().value, where, "A");
  frame.mark(first + 1).require_elements(adapter.b().value, where, "B");
  if (adapter.config().use_dora)
    frame.mark(first + 2).require_elements(adapter.magnitude().value, where, "m");
}

}  // namespace lora::detail
