#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "lora/models/bert/bert_embeddings.hpp"
#include "lora/models/bert/bert_layer.hpp"

namespace lora::models {

/// BERT's embeddings and layers. Layers below the first that trains are computed without keeping
/// anything, and backward ends above them.
template <class T, class Frozen>
class BertEncoder {
 public:
  /// Loads the modules under `prefix`; training reads the rows `read` of the last hidden states,
  /// and `recompute` keeps each layer's input alone and computes the rest again in backward. Throws
  /// FileError and ConfigError.
  BertEncoder(ModelBuilder<T>& builder, const BertConfig& config, const std::string& prefix,
              ReadRows read, bool recompute)
      : read_(config.num_hidden_layers > 0 ? read : ReadRows::all),
        embeddings_(builder, config, prefix + "embeddings"),
        has_dropout_(config.hidden_dropout_prob > 0 || config.attention_probs_dropout_prob > 0),
        recompute_(recompute) {
    const auto count = static_cast<std::size_t>(config.num_hidden_layers);
    for (std::size_t i = 0; i < count; ++i)
      layers_.emplace_back(builder, config, message(prefix, "encoder.layer.", i),
                           rows_of(i, count, read_));
    first_ = embeddings_.trains() ? 0 : count;
    for (std::size_t i = count; i-- > 0;) {
      ModelParameters<T> parameters;
      layers_[i].list(parameters);
      if (!parameters.trained.empty()) first_ = i;
    }
    trains_ = embeddings_.trains() || first_ < count;
  }

  /// Tells whether anything trains, so that backward is to be called.
  [[nodiscard]] bool trains() const { return trains_; }

  /// Computes the last hidden states (N, D) of buffers.batch without dropout, and returns where in
  /// `buffers` they are. Throws ShapeError.
  Matrix<T>& forward(BertBuffers<T>& buffers) const { return forward(ReadRows::all, buffers); }

  /// Does the same for those rows that training reads: rows(batch) says which.
  Matrix<T>& forward_read(BertBuffers<T>& buffers) const { return forward(read_, buffers); }

  /// Returns which rows forward_read and forward with a tape compute.
  [[nodiscard]] const Sequences& rows(const PackedBatch& batch) const {
    return batch.sequences(read_);
  }

  /// Computes the rows of tape.buffers.batch that are read with dropout, keeps what backward needs,
  /// and returns where on the tape the result is. Throws ShapeError.
  const Matrix<T>& forward(BertTape<T>& tape) const {
    const std::size_t count = layers_.size();
    tape.hidden.resize(count + 1);
    tape.layers.resize(recompute_ ? 0 : count);
    tape.starts.resize(recompute_ ? count : 0);
    tape.frames.begin_pass();
    const auto hidden = [&](std::size_t i) -> Matrix<T>& {
      return i >= first_ ? tape.hidden[i] : tape.buffers.hidden(ReadRows::all)[i % 2];
    };
    embeddings_.forward(tape.buffers.batch, &tape, hidden(0));
    for (std::size_t i = 0; i < count; ++i) {
      const ReadRows read = rows_of(i, count, read_);
      if (i >= first_ && !recompute_) {
        layers_[i].forward(hidden(i), read, &tape.frames, tape.layers[i], tape.buffers,
                           hidden(i + 1));
      } else if (i < first_ && !has_dropout_) {
        layers_[i].forward(hidden(i), read, nullptr, tape.buffers.layer(read).kept, tape.buffers,
                           hidden(i + 1));
      } else {
        const auto start = tape.frames.random_state();
        if (i >= first_) tape.starts[i] = start;
        compute_apart(i, hidden(i), start, tape, hidden(i + 1));
        tape.again.clear();
      }
    }
    return hidden(count);
  }

  /// Returns where backward takes the gradient of the rows that forward with a tape gave.
  [[nodiscard]] Matrix<T>& dhidden(BertTape<T>& tape) const {
    return tape.buffers.hidden(read_)[1];
  }

  /// Adds to the gradients of what trains, from dhidden(tape), which is working memory afterwards.
  void backward(BertTape<T>& tape) {
    const std::size_t count = layers_.size();
    Matrix<T>& dx = tape.buffers.hidden(ReadRows::all)[1];
    for (std::size_t i = count; i-- > first_;) {
      const ReadRows read = rows_of(i, count, read_);
      const bool wants_dx = i > first_ || embeddings_.trains();
      if (recompute_)
        compute_apart(i, tape.hidden[i], tape.starts[i], tape, tape.buffers.hidden(read)[0]);
      layers_[i].backward(tape.hidden[i], tape.hidden[i + 1], read,
                          recompute_ ? tape.again : tape.frames,
                          recompute_ ? tape.buffers.layer(read).kept : tape.layers[i], tape.buffers,
                          wants_dx, tape.buffers.hidden(read)[1], dx);
    }
    if (embeddings_.trains()) embeddings_.backward(tape.buffers.batch, tape.hidden[0], tape, dx);
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    embeddings_.list(list);
    for (auto& layer : layers_) layer.list(list);
  }

  void set_adapters_enabled(bool enabled) {
    for (auto& layer : layers_) layer.set_adapters_enabled(enabled);
  }

 private:
  // Says which rows layer i of `count` has to compute for a head that reads these.
  static ReadRows rows_of(std::size_t i, std::size_t count, ReadRows read) {
    return i + 1 == count ? read : ReadRows::all;
  }

  Matrix<T>& forward(ReadRows read, BertBuffers<T>& buffers) const {
    auto& hidden = buffers.hidden(ReadRows::all);
    embeddings_.forward(buffers.batch, nullptr, hidden[0]);
    const std::size_t count = layers_.size();
    Matrix<T>* x = hidden.data();
    for (std::size_t i = 0; i < count; ++i) {
      const ReadRows now = rows_of(i, count, read);
      Matrix<T>& y = buffers.hidden(now)[(i + 1) % 2];
      layers_[i].forward(*x, now, nullptr, buffers.layer(now).kept, buffers, y);
      x = &y;
    }
    return *x;
  }

  // Runs one layer on the tape that is not kept, with the masks that follow `start`.
  void compute_apart(std::size_t i, const Matrix<T>& x, const typename Tape<T>::RandomState& start,
                     BertTape<T>& tape, Matrix<T>& y) const {
    tape.again.clear();
    tape.again.set_random_state(start);
    const ReadRows read = rows_of(i, layers_.size(), read_);
    layers_[i].forward(x, read, &tape.again, tape.buffers.layer(read).kept, tape.buffers, y);
  }

  ReadRows read_;
  BertEmbeddings<T> embeddings_;
  std::vector<BertLayer<T, Frozen>> layers_;
  bool has_dropout_;
  bool recompute_;
  bool trains_ = false;
  std::size_t first_ = 0;  // the lowest layer that backward passes
};

}  // namespace lora::models
