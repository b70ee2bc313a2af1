#pragma once

#include <cstddef>
#include <cstdint>

#include "lora/core/tape.hpp"
#include "lora/models/common/packed_batch.hpp"
#include "lora/models/common/tape_routes.hpp"

namespace lora::models {

/// What a model's forward on a batch of tokens leaves for its backward: activations, on one tape,
/// and the batch. Both reuse the memory: a second step of the same shapes allocates nothing.
/// Working memory is the thread's Scratch.
///
/// One belongs to one thread. Threads that train one model have one each, of streams of their own,
/// and Gradients each.
template <class T>
class TokenTape {
 public:
  /// Makes an empty tape; see Tape.
  explicit TokenTape(std::uint64_t stream = 0) : frames(stream), again(stream) {}

  /// Tells whether every forward has had its backward.
  [[nodiscard]] bool empty() const { return frames.empty(); }

  /// Forgets a forward without its backward. Keeps the memory.
  void clear() {
    frames.clear();
    routes.clear();
  }

  /// Returns the state that chooses the dropout masks, for checkpoints.
  [[nodiscard]] const typename Tape<T>::RandomState& random_state() const {
    return frames.random_state();
  }
  void set_random_state(const typename Tape<T>::RandomState& state) {
    frames.set_random_state(state);
  }

  /// Returns the bytes that wait for backward: the activations of all layers.
  [[nodiscard]] std::size_t bytes_kept() const { return frames.bytes(); }

  /// Returns all bytes held: what waits for backward, and one block that is computed again.
  [[nodiscard]] std::size_t bytes() const { return frames.bytes() + again.bytes(); }

  // For the models that write it.
  Tape<T> frames;     // of all that backward passes
  Tape<T> again;      // of the one block that is computed again
  PackedBatch batch;  // of the forward
  TapeRoutes routes;  // of a mixed one
};

}  // namespace lora::models
