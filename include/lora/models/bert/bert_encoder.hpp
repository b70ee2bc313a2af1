#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "lora/models/bert/bert_embeddings.hpp"
#include "lora/models/bert/bert_layer.hpp"
#include "lora/models/bert/bert_tape.hpp"
#include "lora/models/common/layer_stack.hpp"

namespace lora::models {

/// BERT's embeddings and layers; see LayerStack for what is kept and what is recomputed.
template <class T, class Frozen>
class BertEncoder {
 public:
  /// Loads the modules under `prefix`; a head reads the rows `read` of the last hidden states.
  /// Throws FileError and ConfigError.
  BertEncoder(ModelBuilder<T>& builder, const BertConfig& config, const std::string& prefix,
              ReadRows read, bool recompute)
      : read_(config.num_hidden_layers > 0 ? read : ReadRows::all),
        embeddings_(builder, config, prefix + "embeddings"),
        stack_(layers_of(builder, config, prefix, read_), config.hidden_size, embeddings_.trains(),
               recompute) {}

  /// Tells whether anything trains, so that backward is to be called.
  [[nodiscard]] bool trains() const { return stack_.trains(); }

  /// Returns which rows the head reads.
  [[nodiscard]] ReadRows read() const { return read_; }

  /// Computes the last hidden states (N, D) or, as the head reads them, (Q, D). With a tape with
  /// dropout, and it keeps what backward needs and the result; otherwise that is memory of
  /// `scratch`. In a mixed batch routes are of its rows, and of those that are read. Throws
  /// ShapeError for an id or a length that the model does not have.
  [[nodiscard]] MatrixRef<T> forward(const PackedBatch& batch, ReadRows read, BertTape<T>* tape,
                                     Scratch& scratch, const AdapterRoutes* routes = nullptr,
                                     const AdapterRoutes* read_routes = nullptr) const {
    embeddings_.check(batch);
    Tape<T>* const frames = tape == nullptr ? nullptr : &tape->frames;
    return stack_.forward({&batch, ReadRows::all, routes, routes},
                          {&batch, read, routes, read_routes}, frames,
                          tape == nullptr ? nullptr : &tape->again, scratch,
                          [&](MatrixRef<T> x) { embeddings_.forward(batch, frames, x, routes); });
  }

  /// Adds to the gradients of what trains, from the gradient of what forward with this tape gave
  /// for read(), which is working memory afterwards.
  void backward(BertTape<T>& tape, GradientTarget<T> target, MatrixRef<T> dhidden) const {
    const PackedBatch& batch = tape.batch;
    const AdapterRoutes* const routes = tape.routes.all();
    stack_.backward({&batch, ReadRows::all, routes, routes},
                    {&batch, read_, routes, tape.routes.last()}, tape.frames, tape.again, target,
                    dhidden, [&](ConstMatrixRef<T> x, MatrixRef<T> dx) {
                      embeddings_.backward(batch, x, tape.frames, target, dx, routes);
                    });
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    embeddings_.list(list);
    stack_.list(list);
  }

  /// Calls action(layer) with each LoRALinear and LoRAEmbedding that has an adapter.
  template <class Action>
  void for_each_adapted(const Action& action) {
    embeddings_.for_each_adapted(action);
    stack_.for_each_adapted(action);
  }

  /// Calls action(tokens) with each TrainableTokens: rows of embeddings that train.
  template <class Action>
  void for_each_trainable_tokens(const Action& action) {
    embeddings_.for_each_trainable_tokens(action);
  }

 private:
  using Layer = BertLayer<T, Frozen>;

  static std::vector<Layer> layers_of(ModelBuilder<T>& builder, const BertConfig& config,
                                      const std::string& prefix, ReadRows read) {
    std::vector<Layer> layers;
    for (Index i = 0; i < config.num_hidden_layers; ++i)
      layers.emplace_back(builder, config, message(prefix, "encoder.layer.", i),
                          i + 1 == config.num_hidden_layers ? read : ReadRows::all);
    return layers;
  }

  ReadRows read_;
  BertEmbeddings<T> embeddings_;
  LayerStack<Layer> stack_;
};

}  // namespace lora::models
