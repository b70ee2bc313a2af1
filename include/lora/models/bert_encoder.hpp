#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "lora/models/bert_embeddings.hpp"
#include "lora/models/bert_layer.hpp"

namespace lora::models {

/// Is BERT's embeddings and layers. Layers below the first that trains are computed without keeping
/// anything, and backward ends above them.
template <class T, class Frozen>
class BertEncoder {
 public:
  /// Loads the modules under `prefix`; `recompute` keeps each layer's input alone and computes the
  /// rest again in backward. Throws FileError and ConfigError.
  BertEncoder(ModelBuilder<T>& builder, const std::string& prefix, bool recompute)
      : embeddings_(builder, prefix + "embeddings"),
        has_dropout_(builder.config.hidden_dropout_prob > 0 ||
                     builder.config.attention_probs_dropout_prob > 0),
        recompute_(recompute) {
    const auto count = static_cast<std::size_t>(builder.config.num_hidden_layers);
    for (std::size_t i = 0; i < count; ++i)
      layers_.emplace_back(builder, message(prefix, "encoder.layer.", i));
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
  Matrix<T>& forward(BertBuffers<T>& buffers) const {
    embeddings_.forward(buffers.batch, buffers.hidden[0]);
    std::size_t at = 0;
    for (const auto& layer : layers_) {
      layer.forward(buffers.hidden[at], buffers.batch.sequences(), buffers, buffers.hidden[1 - at]);
      at = 1 - at;
    }
    return buffers.hidden[at];
  }

  /// Computes the same of tape.buffers.batch with dropout, keeps what backward needs, and returns
  /// where on the tape the result is. Throws ShapeError.
  const Matrix<T>& forward(BertTape<T>& tape) const {
    const std::size_t count = layers_.size();
    const Sequences& sequences = tape.buffers.batch.sequences();
    tape.hidden.resize(count + 1);
    tape.layers.resize(recompute_ ? 0 : count);
    tape.starts.resize(recompute_ ? count : 0);
    const auto hidden = [&](std::size_t i) -> Matrix<T>& {
      return i >= first_ ? tape.hidden[i] : tape.buffers.hidden[i % 2];
    };
    embeddings_.forward(tape.buffers.batch, tape, hidden(0));
    for (std::size_t i = 0; i < count; ++i) {
      if (i >= first_ && !recompute_) {
        layers_[i].forward(hidden(i), sequences, tape.frames, tape.layers[i], tape.buffers,
                           hidden(i + 1));
      } else if (i < first_ && !has_dropout_) {
        layers_[i].forward(hidden(i), sequences, tape.buffers, hidden(i + 1));
      } else {
        const auto start = tape.frames.random_state();
        if (i >= first_) tape.starts[i] = start;
        compute_apart(i, hidden(i), start, tape, hidden(i + 1));
        tape.frames.set_random_state(tape.again.random_state());
        tape.again.clear();
      }
    }
    return hidden(count);
  }

  /// Adds to the gradients of what trains, from that of the last hidden states; `d` (N, D) is
  /// working memory afterwards.
  void backward(BertTape<T>& tape, Matrix<T>& d) {
    const PackedBatch& batch = tape.buffers.batch;
    for (std::size_t i = layers_.size(); i-- > first_;) {
      const bool wants_dx = i > first_ || embeddings_.trains();
      if (recompute_)
        compute_apart(i, tape.hidden[i], tape.starts[i], tape, tape.buffers.hidden[0]);
      layers_[i].backward(tape.hidden[i], tape.hidden[i + 1], batch.sequences(),
                          recompute_ ? tape.again : tape.frames,
                          recompute_ ? tape.buffers.layer : tape.layers[i], tape.buffers, wants_dx,
                          d);
    }
    if (embeddings_.trains()) embeddings_.backward(batch, tape.hidden[0], tape, d);
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
  // Runs one layer on the tape that is not kept, with the masks that follow `start`.
  void compute_apart(std::size_t i, const Matrix<T>& x, const typename Tape<T>::RandomState& start,
                     BertTape<T>& tape, Matrix<T>& y) const {
    tape.again.clear();
    tape.again.set_random_state(start);
    layers_[i].forward(x, tape.buffers.batch.sequences(), tape.again, tape.buffers.layer,
                       tape.buffers, y);
  }

  BertEmbeddings<T> embeddings_;
  std::vector<BertLayer<T, Frozen>> layers_;
  bool has_dropout_;
  bool recompute_;
  bool trains_ = false;
  std::size_t first_ = 0;  // the lowest layer that backward passes
};

}  // namespace lora::models
