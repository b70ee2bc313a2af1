#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "lora/core/tape.hpp"
#include "lora/models/common/causal_batch.hpp"
#include "lora/models/common/tape_routes.hpp"
#include "lora/nn/language_model_loss.hpp"

namespace lora::models {

/// What the forward of a causal language model leaves for its backward: activations, on one tape,
/// the batch, and which rows have a label. A second step of the same shapes allocates nothing.
/// Working memory is the thread's Scratch.
///
/// One belongs to one thread. Threads that train one model have one each, of streams of their own,
/// and Gradients each.
template <class T>
class CausalTape {
 public:
  /// Makes an empty tape; see Tape.
  explicit CausalTape(std::uint64_t stream = 0) : frames(stream), again(stream) {}

  /// Tells whether every forward has had its backward.
  [[nodiscard]] bool empty() const { return frames.empty(); }

  /// Forgets a forward without its backward. Keeps the memory.
  void clear() {
    frames.clear();
    routes.clear();
    labelled.clear();
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

  /// Notes which rows of the batch have a next token to predict: `beside` stand beside the batch's
  /// tokens. Throws ShapeError, naming `where`, for one that is neither ignored_label nor in [0,
  /// vocab_size), and ConfigError where none counts or more than `total` do.
  template <class Where>
  void note_labels(std::span<const int> beside, Index vocab_size, std::optional<Index> total,
                   const Where& where) {
    next_token_labels(beside, batch.sequences(), next);
    labels.clear();
    labelled.clear();
    for (std::size_t i = 0; i < next.size(); ++i) {
      const int label = next[i];
      if (label == ignored_label) continue;
      if (label < 0 || label >= vocab_size)
        throw ShapeError(message(where, ": label ", i + 1, " is ", label,
                                 ", expected a token in [0, ", vocab_size, ") or ", ignored_label));
      labels.push_back(label);
      labelled.push_back(static_cast<Index>(i));
    }
    const auto count = static_cast<Index>(labels.size());
    if (count == 0 || (total && *total < count))
      throw ConfigError(message(where, ": ", count, " of the labels count",
                                count == 0 ? ", expected at least one that is no text's first"
                                           : ", more than total says"));
  }

  Tape<T> frames;               // of all that backward passes
  Tape<T> again;                // of the one block that is computed again
  CausalBatch batch;            // of the forward
  TapeRoutes routes;            // of a mixed one
  std::vector<int> next;        // the label of each row, its next token
  std::vector<int> labels;      // those of the labelled rows
  std::vector<Index> labelled;  // these rows
  Sequences chosen;             // the same as the last layer's queries
};

}  // namespace lora::models
