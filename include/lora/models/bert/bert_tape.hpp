#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/core/tape.hpp"
#include "lora/models/common/bottleneck.hpp"
#include "lora/models/common/packed_batch.hpp"

namespace lora::models {

/// The activations of one layer that its backward needs: N tokens, D features, M of the
/// feed-forward half. But for keys and values, N counts the tokens whose rows are read.
template <class T>
struct BertLayerActivations {
  std::array<Matrix<T>, 3> qkv;  // (N, D) each
  Matrix<T> context;             // (N, D), attention's output; only where it is needed
  Matrix<T> attended;            // (N, D), output of the first half
  Matrix<T> inner;               // (N, M), before the activation
  std::array<typename Bottleneck<T>::Kept, 2> bottleneck;  // where there are such adapters
  Matrix<T> first_sum;   // (N, D), what the first norm saw; only where it is needed
  Matrix<T> second_sum;  // (N, D), what the second norm saw; only where it is needed

  /// Returns the bytes held.
  [[nodiscard]] std::size_t bytes() const {
    Index sum =
        context.size() + attended.size() + inner.size() + first_sum.size() + second_sum.size();
    for (const Matrix<T>& each : qkv) sum += each.size();
    for (const auto& each : bottleneck) sum += each.size();
    return static_cast<std::size_t>(sum) * sizeof(T);
  }
};

/// The working memory of a layer's calls.
template <class T>
struct BertLayerBuffers {
  BertLayerActivations<T> kept;     // where no backward needs it
  std::array<Matrix<T>, 3> dqkv;    // (N, D) each
  std::array<Matrix<T>, 2> narrow;  // (N, D)
  std::array<Matrix<T>, 2> wide;    // (N, M)
  typename Bottleneck<T>::Buffers bottleneck;

  /// Returns the bytes held.
  [[nodiscard]] std::size_t bytes() const {
    Index sum = 0;
    const auto add = [&sum](const auto& matrices) {
      for (const Matrix<T>& each : matrices) sum += each.size();
    };
    add(dqkv);
    add(narrow);
    add(wide);
    add(bottleneck);
    return kept.bytes() + static_cast<std::size_t>(sum) * sizeof(T);
  }
};

/// The working memory of a model's calls, which they reuse: a second call with the same
/// shapes allocates nothing. Its contents mean nothing between calls. One belongs to one thread.
template <class T>
class BertBuffers {
 public:
  /// Returns the memory for a layer that computes these rows. Each choice of rows has its own, so
  /// that no matrix changes its size from layer to layer; but what has a row for each key has one
  /// size, and goes to whoever asks.
  BertLayerBuffers<T>& layer(ReadRows read) {
    if (read != last_asked_) {
      for (std::size_t part = 1; part <= 2; ++part) {
        layers_[0].kept.qkv[part].swap(layers_[1].kept.qkv[part]);
        layers_[0].dqkv[part].swap(layers_[1].dqkv[part]);
      }
      last_asked_ = read;
    }
    return layers_[place(read)];
  }

  /// Returns two matrices for hidden states of these rows, to be used turn by turn.
  [[nodiscard]] std::array<Matrix<T>, 2>& hidden(ReadRows read) { return hidden_[place(read)]; }

  /// Returns the bytes held for numbers.
  [[nodiscard]] std::size_t bytes() const {
    Index sum = first_tokens.size();
    for (const auto& both : hidden_)
      for (const Matrix<T>& each : both) sum += each.size();
    for (const Matrix<T>& each : pooled) sum += each.size();
    return layers_[0].bytes() + layers_[1].bytes() + static_cast<std::size_t>(sum) * sizeof(T);
  }

  PackedBatch batch;
  Matrix<T> first_tokens;           // (texts with tokens, D): input of queries that are apart
  std::array<Matrix<T>, 5> pooled;  // (B, D)

 private:
  static std::size_t place(ReadRows read) { return read == ReadRows::all ? 0 : 1; }

  std::array<BertLayerBuffers<T>, 2> layers_;
  std::array<std::array<Matrix<T>, 2>, 2> hidden_;
  ReadRows last_asked_ = ReadRows::all;
};

/// What backward needs of a whole model, from forward to backward, and the memory of both.
/// One belongs to one thread; two threads that train one model have one each, of different streams.
template <class T>
class BertTape {
 public:
  /// Makes an empty tape; see Tape.
  explicit BertTape(std::uint64_t stream = 0) : frames(stream), again(stream) {}

  /// Tells whether every forward has had its backward.
  [[nodiscard]] bool empty() const { return !waits; }

  /// Forgets a forward without its backward. Keeps the memory and the random state.
  void clear() {
    frames.clear();
    waits = false;
  }

  /// Returns the state that chooses the dropout masks, for checkpoints.
  [[nodiscard]] const typename Tape<T>::RandomState& random_state() const {
    return frames.random_state();
  }
  void set_random_state(const typename Tape<T>::RandomState& state) {
    frames.set_random_state(state);
  }

  /// Returns the bytes that wait for backward: activations and the frames of all layers.
  [[nodiscard]] std::size_t bytes_kept() const {
    std::size_t sum = frames.bytes();
    for (const auto& each : hidden) sum += static_cast<std::size_t>(each.size()) * sizeof(T);
    for (const auto& each : embedded) sum += static_cast<std::size_t>(each.size()) * sizeof(T);
    for (const auto& each : layers) sum += each.bytes();
    return sum;
  }

  /// Returns all bytes held: what waits for backward, and working memory.
  [[nodiscard]] std::size_t bytes() const { return bytes_kept() + again.bytes() + buffers.bytes(); }

  // For the models that write it.
  bool waits = false;                           // a forward for its backward
  Tape<T> frames;                               // of all layers that backward passes
  Tape<T> again;                                // of the one layer that is computed again
  std::vector<Matrix<T>> hidden;                // (N, D): the input of each layer, and the output
  std::array<Matrix<T>, 2> embedded;            // (N, D) around their norm, where they train
  std::vector<BertLayerActivations<T>> layers;  // of each layer, unless they are recomputed
  std::vector<typename Tape<T>::RandomState> starts;  // of each layer that is recomputed
  BertBuffers<T> buffers;
};

}  // namespace lora::models
