#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/input_mark.hpp"
#include "lora/core/matrix.hpp"

namespace lora {

/// What the forwards of a pass leave for their backwards, beyond the inputs, which stay the
/// caller's.
///
/// Each layer's forward pushes a frame and its backward pops it: so backward runs in the reverse
/// order of forward, one layer may run several times in a pass, and after both the tape is empty. A
/// frame also says what backward has to find unchanged, and refuses to go on otherwise. The memory
/// stays and is used again: the second step of the same shapes allocates nothing.
///
/// A forward that no backward follows stays on the tape, and so does its memory, until clear():
/// call it where a step is skipped or has thrown, and validate with forward(x, y).
///
/// A layer is known by its address. It stays where it is from forward to backward: one that moved
/// is refused; one that was built anew in its place is too, where it has an adapter, and computes
/// with its own weights where it has none.
///
/// A tape belongs to one thread. Threads that train one layer at the same time have a tape each,
/// of streams of their own, and Gradients each, which they pass to the const backward: the one that
/// is not const writes to the layer, and two threads in it race.
template <class T>
class Tape {
 public:
  /// What one forward leaves for its backward.
  class Frame {
   public:
    /// Makes room for one more matrix (rows, cols), which backward finds by kept(i), i counting
    /// from 0. It stays where it is until the frame is popped. One without elements has a place of
    /// its own as well. Throws ShapeError for a negative size.
    [[nodiscard]] MatrixRef<T> keep(Index rows, Index cols) {
      if (rows < 0 || cols < 0)
        throw ShapeError(
            message("Tape::Frame::keep: (", rows, ", ", cols, "), expected sizes of at least 0"));
      if (count_ == matrices_.size()) matrices_.emplace_back();
      Kept& kept = matrices_[count_++];
      const auto needed = static_cast<std::size_t>(std::max<Index>(rows * cols, 1));
      if (kept.memory.size() < needed) {
        kept.memory = {};  // before the new one is made, which is no larger than needed
        kept.memory.resize(needed);
      }
      kept.rows = rows;
      kept.cols = cols;
      return {kept.memory.data(), rows, cols, cols};
    }

    /// Returns the matrix that the call number `i` of `keep` made. Throws std::out_of_range.
    [[nodiscard]] MatrixRef<T> kept(std::size_t i = 0) {
      if (i >= count_)
        throw std::out_of_range(message("Tape::Frame::kept: ", i, ", of ", count_, " matrices"));
      Kept& kept = matrices_[i];
      return {kept.memory.data(), kept.rows, kept.cols, kept.cols};
    }

    /// Notes which x the forward saw, for require_input. Called again, it notes another input,
    /// which mark(i) finds, i counting from 0.
    void note_input(ConstMatrixRef<T> x) { inputs_.emplace_back(x); }

    /// Throws StateError, naming `where`, unless x is what the first call of note_input saw: its
    /// address, shape and, as far as a sample tells, elements.
    template <class Where>
    void require_input(ConstMatrixRef<T> x, const Where& where) const {
      if (!inputs_.empty()) inputs_.front().require(x, where);
    }

    /// Returns what the call number `i` of note_input saw. Throws std::out_of_range.
    [[nodiscard]] const InputMark<T>& mark(std::size_t i) const { return inputs_.at(i); }

    /// Lets backward be given copies of the inputs that were noted: the caller computes them again
    /// instead of keeping them.
    void allow_copies() {
      for (InputMark<T>& input : inputs_) input.allow_copies();
    }

    /// Notes a number that is the same as long as what backward must find unchanged is: the layout
    /// of a batch, for instance.
    void note_layout(std::uint64_t layout) { layout_ = layout; }

    /// Returns what note_layout was given, 0 without it.
    [[nodiscard]] std::uint64_t layout() const { return layout_; }

    /// Keeps alive what the forward used, such as an adapter that may be replaced meanwhile.
    void hold(std::shared_ptr<const void> used) { held_.push_back(std::move(used)); }

    /// Returns what the call number `i` of `hold` was given. Throws std::out_of_range.
    [[nodiscard]] const std::shared_ptr<const void>& held(std::size_t i = 0) const {
      return held_.at(i);
    }

    /// Leaves the backward of a forward that has another than its owner's usual one: `function`
    /// points to a pointer to it, which lives on. A program that never calls such a forward does
    /// not compile its backward then.
    template <class Function>
    void note_backward(const Function* function) {
      backward_ = function;
    }

    /// Returns what note_backward was given, which must have been of the same type, or null.
    template <class Function>
    [[nodiscard]] const Function* noted_backward() const {
      return static_cast<const Function*>(backward_);
    }

    /// Returns the tokens of that forward.
    [[nodiscard]] Index rows() const { return rows_; }

    /// Returns the columns of that forward's output, where it told push of them.
    [[nodiscard]] Index cols() const { return cols_; }

    /// Returns the step at which its dropout masks are drawn; see Tape.
    [[nodiscard]] std::uint64_t mask_step() const { return mask_step_; }

   private:
    friend class Tape;

    struct Kept {
      std::vector<T, Eigen::aligned_allocator<T>> memory;  // only grows
      Index rows = 0, cols = 0;
    };

    const void* owner_ = nullptr;
    std::string name_;
    Index rows_ = 0, cols_ = 0;
    std::uint64_t mask_step_ = 0, layout_ = 0;
    std::vector<InputMark<T>> inputs_;
    std::size_t count_ = 0;
    std::deque<Kept> matrices_;
    std::vector<std::shared_ptr<const void>> held_;
    const void* backward_ = nullptr;
  };

  /// Which random numbers the forwards of the next pass draw: saved in checkpoints.
  struct RandomState {
    std::uint64_t stream = 0;  ///< tapes of different streams draw different masks
    std::uint64_t step = 0;    ///< training steps that this tape has seen
    friend bool operator==(const RandomState&, const RandomState&) = default;
  };

  /// Makes an empty tape. Threads that train the same layer at the same time give their tapes
  /// different streams, so that their dropout masks differ.
  ///
  /// A mask is a function of (seed, layer, stream, step, element), step counting the passes: it
  /// goes on when the tape has become empty. A layer that runs several times in a pass draws
  /// another mask each time; what other layers do changes no mask.
  explicit Tape(std::uint64_t stream = 0) : random_state_{stream, 0} {}

  /// Adds a frame for the forward of `owner`, called `name` in messages, on `rows` tokens (with
  /// `cols` columns of output, if backward wants to know) and returns it.
  Frame& push(const void* owner, std::string_view name, Index rows, Index cols = 0) {
    if (depth_ == frames_.size()) frames_.emplace_back();
    begin_pass();
    Frame& frame = frames_[depth_++];
    frame.owner_ = owner;
    frame.name_ = name;
    frame.rows_ = rows;
    frame.cols_ = cols;
    // An odd factor: no two streams meet, however large they are.
    frame.mask_step_ =
        (random_state_.stream * 0x9E3779B97F4A7C15) ^ (run_of(owner) << 32) ^ random_state_.step;
    frame.layout_ = 0;
    frame.backward_ = nullptr;
    frame.inputs_.clear();
    frame.count_ = 0;
    return frame;
  }

  /// Returns the newest frame, which must be of `owner`'s forward on `rows` tokens; throws
  /// StateError or ShapeError otherwise, naming `where`.
  template <class Where>
  [[nodiscard]] Frame& top(const void* owner, Index rows, const Where& where) {
    if (depth_ == 0)
      throw StateError(message(where, ": the tape is empty: run forward(x, tape, y) first"));
    Frame& frame = frames_[depth_ - 1];
    if (frame.owner_ != owner)
      throw StateError(message(where, ": the newest forward on the tape is of ",
                               frame.name_.empty() ? "another layer" : frame.name_,
                               ": backward runs in the reverse order of forward"));
    if (frame.rows_ != rows)
      throw ShapeError(message(where, ": dy has ", rows, " rows, expected the ", frame.rows_,
                               " tokens of the forward on the tape"));
    return frame;
  }

  /// Returns the newest frame of `owner`, which may lie below those of the layers that it is made
  /// of. Throws StateError, naming `where`, if there is none.
  template <class Where>
  [[nodiscard]] Frame& find(const void* owner, const Where& where) {
    for (std::size_t i = depth_; i-- > 0;)
      if (frames_[i].owner_ == owner) return frames_[i];
    throw StateError(message(where, depth_ == 0 ? ": the tape is empty" : ": it is not on the tape",
                             ": run forward with this tape first"));
  }

  /// Returns the newest frame, for whoever called the forward that pushed it. Throws StateError on
  /// an empty tape.
  [[nodiscard]] Frame& newest() {
    if (depth_ == 0) throw StateError("Tape::newest: the tape is empty");
    return frames_[depth_ - 1];
  }

  /// Takes the newest frame off; its memory is kept for the next push. The last one ends the pass.
  void pop() {
    if (depth_ == 0) return;
    discard();
    if (depth_ == 0) end_pass();
  }

  /// Takes the newest frame off without ending the pass: of a forward that has no backward because
  /// nothing below it trains.
  void discard() {
    if (depth_ > 0) frames_[--depth_].held_.clear();
  }

  /// Forgets all frames, as after a pass that was abandoned, and ends the pass. Keeps the memory.
  void clear() {
    while (depth_ > 0) discard();
    end_pass();
  }

  /// Says that a pass has begun, which push does as well: for forwards that run on another tape
  /// with this one's random state, as those that are computed again in backward.
  void begin_pass() { begun_ = true; }

  /// Tells whether every forward has had its backward.
  [[nodiscard]] bool empty() const { return depth_ == 0; }

  /// Returns the random state, to be saved.
  [[nodiscard]] const RandomState& random_state() const { return random_state_; }

  /// Lets the next forwards draw the masks that followed `state`.
  void set_random_state(const RandomState& state) {
    random_state_ = state;
    begun_ = false;
    runs_.clear();
  }

  /// Returns the bytes held for frames.
  [[nodiscard]] std::size_t bytes() const {
    std::size_t sum = 0;
    for (const Frame& frame : frames_)
      for (const auto& kept : frame.matrices_) sum += kept.memory.capacity() * sizeof(T);
    return sum;
  }

 private:
  struct Runs {
    const void* owner;
    std::uint64_t count;
  };

  // Counts the forwards of an owner in this pass and returns how many came before. Layers come in
  // the same order in every pass, so each is mostly found where the last search ended.
  std::uint64_t run_of(const void* owner) {
    for (std::size_t i = 0; i < runs_.size(); ++i) {
      Runs& runs = runs_[(next_ + i) % runs_.size()];
      if (runs.owner != owner) continue;
      next_ = (next_ + i + 1) % runs_.size();
      return runs.count++;
    }
    runs_.push_back({owner, 1});
    next_ = 0;
    return 0;
  }

  void end_pass() {
    if (!begun_) return;
    begun_ = false;
    ++random_state_.step;
    for (Runs& runs : runs_) runs.count = 0;
    next_ = 0;
  }

  std::deque<Frame> frames_;
  std::size_t depth_ = 0;
  RandomState random_state_;
  bool begun_ = false;  // a pass that has not ended
  std::vector<Runs> runs_;
  std::size_t next_ = 0;
};

}  // namespace lora
