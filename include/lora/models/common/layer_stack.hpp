#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "lora/core/gradients.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/tape.hpp"
#include "lora/models/common/model_parameters.hpp"

namespace lora::models {

/// The blocks of a model, one after the other, x (N, D) the first one's input. Blocks below the
/// first that trains are computed without keeping anything, and backward ends above them. With
/// `recompute` (gradient checkpointing; Chen et al., 2016) the input of each block is kept alone,
/// and the rest is computed again in backward.
///
/// `Block` has
///
///     Scalar, Rows                                  the rows that it computes: count(), all()
///     forward(x, rows, tape, y) const               tape null: without dropout, keeping nothing
///     backward(x, y, rows, tape, target, dy, dx) const
///     list(ModelParameters<Scalar>&), for_each_adapted(action), has_dropout()
///
/// where y, dy (rows.count(), D) are the block's output and its gradient, dy is working memory
/// afterwards, and dx is null or where the gradient of x goes: dy itself where rows.all(). The last
/// block may compute fewer rows than the others.
template <class Block>
class LayerStack {
 public:
  using T = typename Block::Scalar;
  using Rows = typename Block::Rows;

  /// Takes the blocks, the input's first, of `features` D. `below_trains` says whether what
  /// computes x wants its gradient.
  LayerStack(std::vector<Block> blocks, Index features, bool below_trains, bool recompute)
      : blocks_(std::move(blocks)),
        features_(features),
        below_trains_(below_trains),
        recompute_(recompute),
        first_(below_trains ? 0 : blocks_.size()) {
    for (std::size_t i = blocks_.size(); i-- > 0 && !below_trains;) {
      ModelParameters<T> parameters;
      blocks_[i].list(parameters);
      if (!parameters.trained.empty()) first_ = i;
    }
  }

  /// Tells whether anything trains here or below, so that backward is to be called.
  [[nodiscard]] bool trains() const { return below_trains_ || first_ < blocks_.size(); }

  [[nodiscard]] bool empty() const { return blocks_.empty(); }

  /// Computes the last block's output for the rows `last`, the others for `all`, from what
  /// begin(x) writes to x (N, D), and returns it. With a tape with dropout, and what backward needs
  /// is kept there, the result too; otherwise the result is memory of `scratch`. `again` is the
  /// tape of blocks whose activations are not kept.
  template <class Begin>
  [[nodiscard]] MatrixRef<T> forward(const Rows& all, const Rows& last, Tape<T>* tape,
                                     Tape<T>* again, Scratch& scratch, const Begin& begin) const {
    const std::size_t count = blocks_.size();
    typename Tape<T>::Frame* frame = nullptr;
    if (tape != nullptr) {
      tape->begin_pass();
      if (trains()) frame = &tape->push(this, "LayerStack", all.count());
    }
    const bool keeps = frame != nullptr;
    std::array<std::optional<MatrixRef<T>>, 2> turns;  // of hidden states that are not kept
    const auto hidden = [&](std::size_t i) {
      const Index rows = i > 0 && i == count ? last.count() : all.count();
      if (keeps && i >= first_) return frame->keep(rows, features_);
      auto& turn = turns[i % 2];
      if (!turn) turn.emplace(scratch.matrix<T>(all.count(), features_));
      return MatrixRef<T>(turn->topRows(rows));
    };
    std::array<std::optional<MatrixRef<T>>, 2> states;
    states[0].emplace(hidden(0));
    begin(*states[0]);
    for (std::size_t i = 0; i < count; ++i) {
      const Rows& rows = i + 1 == count ? last : all;
      const MatrixRef<T>& x = *states[i % 2];
      const MatrixRef<T>& y = states[(i + 1) % 2].emplace(hidden(i + 1));
      if (keeps && i >= first_ && !recompute_)
        blocks_[i].forward(x, rows, tape, y);
      else if (tape == nullptr || (i < first_ && !blocks_[i].has_dropout()))
        blocks_[i].forward(x, rows, nullptr, y);
      else {
        compute_apart(i, x, rows, *tape, *again, y);
        again->clear();
      }
    }
    return *states[count % 2];
  }

  /// Adds to the gradients of what trains, from dy of what forward returned, which is working
  /// memory afterwards. Rows are the forward's. Where it is asked for, calls end(x, dx) with the
  /// first block's input and its gradient (N, D), for what computed x to pass on.
  template <class End>
  void backward(const Rows& all, const Rows& last, Tape<T>& tape, Tape<T>& again,
                GradientTarget<T> target, MatrixRef<T> dy, const End& end) const {
    constexpr const char* where = "LayerStack::backward";
    auto& frame = tape.find(this, where);
    const std::size_t count = blocks_.size();
    Scratch scratch;
    const bool apart = count > 0 && !last.all();
    const MatrixRef<T> dx = apart ? scratch.matrix<T>(all.count(), features_) : dy;
    for (std::size_t i = count; i-- > first_;) {
      const Rows& rows = i + 1 == count ? last : all;
      const MatrixRef<T> x = frame.kept(i - first_), y = frame.kept(i + 1 - first_);
      // The same bits come to y again.
      if (recompute_) compute_apart(i, x, rows, tape, again, y);
      blocks_[i].backward(x, y, rows, recompute_ ? again : tape, target, i + 1 == count ? dy : dx,
                          i > first_ || below_trains_ ? &dx : nullptr);
    }
    if (below_trains_) end(frame.kept(0), dx);
    static_cast<void>(tape.top(this, all.count(), where));
    tape.pop();
  }

  /// Calls action(block, number) with each block, the input's first.
  template <class Action>
  void for_each_block(const Action& action) const {
    for (std::size_t i = 0; i < blocks_.size(); ++i) action(blocks_[i], static_cast<Index>(i));
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    for (Block& block : blocks_) block.list(list);
  }

  /// Calls action(layer) with each LoRALinear that has an adapter.
  template <class Action>
  void for_each_adapted(const Action& action) {
    for (Block& block : blocks_) block.for_each_adapted(action);
  }

 private:
  // Runs one block on the tape that is not kept, with the masks that it has on the other.
  void compute_apart(std::size_t i, ConstMatrixRef<T> x, const Rows& rows, const Tape<T>& tape,
                     Tape<T>& again, MatrixRef<T> y) const {
    again.clear();
    again.set_random_state(tape.random_state());
    blocks_[i].forward(x, rows, &again, y);
  }

  std::vector<Block> blocks_;
  Index features_;
  bool below_trains_;
  bool recompute_;
  std::size_t first_;  // the lowest block that backward passes
};

}  // namespace lora::models
