#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lora/core/matrix.hpp"

namespace lora {

/// Keeps what backward needs beyond a layer's input, from forward to backward.
///
/// Each layer's forward pushes a frame, its backward pops it: so backward runs in the reverse
/// order of forward, one layer may run several times in a pass, and after both the tape is empty.
/// The memory stays and is used again: the second step of the same shapes allocates nothing.
/// A tape belongs to one thread; two threads that train one layer have a tape each.
template <class T>
class Tape {
 public:
  /// What one forward leaves for its backward.
  struct Frame {
    const void* owner = nullptr;  ///< the layer that pushed it
    Index rows = 0;               ///< tokens of that forward
    Index cols = 0;               ///< width of what was kept; 0 where nothing was
    std::uint64_t step = 0;       ///< which forward of this tape it was: selects dropout masks
    std::vector<T> memory;        ///< numbers kept, of any shape the owner likes; only grows

    /// Makes room for a (rows, width) matrix and returns it; backward finds it by `kept()`.
    [[nodiscard]] MatrixRef<T> keep(Index width) {
      const auto needed = static_cast<std::size_t>(rows * width);
      if (memory.size() < needed) memory.resize(needed);
      cols = width;
      return kept();
    }

    /// Returns the matrix that `keep` made.
    [[nodiscard]] MatrixRef<T> kept() { return {memory.data(), rows, cols, cols}; }
  };

  /// Which random numbers the next forward draws: saved in checkpoints.
  struct RandomState {
    std::uint64_t stream = 0;    ///< tapes of different streams draw different masks
    std::uint64_t forwards = 0;  ///< forwards that this tape has seen
    friend bool operator==(const RandomState&, const RandomState&) = default;
  };

  /// Makes an empty tape. Threads that train the same layer at the same time give their tapes
  /// different streams, so that their dropout masks differ.
  explicit Tape(std::uint64_t stream = 0) : random_state_{stream, 0} {}

  /// Adds a frame for `owner`'s forward on `rows` tokens and returns it.
  Frame& push(const void* owner, Index rows) {
    if (depth_ == frames_.size()) frames_.emplace_back();
    Frame& frame = frames_[depth_++];
    frame.owner = owner;
    frame.rows = rows;
    frame.cols = 0;
    frame.step = random_state_.forwards++;
    return frame;
  }

  /// Returns the newest frame, which must be of `owner`'s forward on `rows` tokens; throws
  /// StateError otherwise, naming `where`.
  [[nodiscard]] Frame& top(const void* owner, Index rows, const char* where) {
    if (depth_ == 0)
      throw StateError(message(where, ": the tape is empty: run forward(x, tape, y) first"));
    Frame& frame = frames_[depth_ - 1];
    if (frame.owner != owner)
      throw StateError(message(where,
                               ": the newest forward on the tape is another layer's: "
                               "backward runs in the reverse order of forward"));
    if (frame.rows != rows)
      throw ShapeError(message(where, ": dy has ", rows, " rows, expected the ", frame.rows,
                               " tokens of the forward on the tape"));
    return frame;
  }

  /// Takes the newest frame off; its memory is kept for the next push.
  void pop() {
    if (depth_ > 0) --depth_;
  }

  /// Returns the step at which the dropout masks of `frame`'s forward are drawn: the tape's stream
  /// in the upper bits, so that no two tapes share one.
  [[nodiscard]] std::uint64_t mask_step(const Frame& frame) const { return mask_step(frame.step); }

  /// Does the same for the forward of number `step`.
  [[nodiscard]] std::uint64_t mask_step(std::uint64_t step) const {
    return random_state_.stream << 40 ^ step;
  }

  /// Forgets all frames, as after a step that was abandoned. Keeps the memory and random state.
  void clear() { depth_ = 0; }

  /// Tells whether every forward has had its backward.
  [[nodiscard]] bool empty() const { return depth_ == 0; }

  /// Returns the random state, to be saved.
  [[nodiscard]] const RandomState& random_state() const { return random_state_; }

  /// Continues with the masks that would have followed `state`.
  void set_random_state(const RandomState& state) { random_state_ = state; }

  /// Returns the bytes held for frames.
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = 0;
    for (const Frame& frame : frames_) sum += frame.memory.capacity() * sizeof(T);
    return sum;
  }

 private:
  std::vector<Frame> frames_;
  std::size_t depth_ = 0;
  RandomState random_state_;
};

}  // namespace lora
