#pragma once

#include <filesystem>
#include <optional>

#include "lora/frozen/packed_weight.hpp"
#include "lora/models/bert/bert_encoder.hpp"
#include "lora/models/bert/bert_pooler.hpp"
#include "lora/models/bert/bert_source.hpp"
#include "lora/models/common/adapted_model.hpp"
#include "lora/models/common/own_rows.hpp"
#include "lora/models/common/text_routes.hpp"
#include "lora/nn/mean_pooling.hpp"

namespace lora::models {

/// A BERT-family encoder without a head (Devlin et al., "BERT", 2018; transformers' BertModel),
/// loaded from a Hugging Face directory: config.json and model.safetensors or its shards.
///
/// `Frozen` stores the weights that do not train: PackedWeight<T> is the fastest, MappedWeight<T>
/// leaves them in the file's pages and copies nothing where the file's numbers are of type T.
/// BlockWeight<T> does so whatever they are.
///
/// N is the number of tokens of a batch: rows are its tokens where attention_mask is 1, text after
/// text. Const calls may come from several threads at once, each with a tape and Gradients of its
/// own where they take them.
template <class T, class Frozen = PackedWeight<T>>
class BertModel : public AdaptedModel<T, BertModel<T, Frozen>, BertConfig> {
  using Base = AdaptedModel<T, BertModel<T, Frozen>, BertConfig>;

 public:
  using FrozenStorage = Frozen;

  /// Loads the model; options.labels and options.pooling mean nothing to it. Throws FileError for
  /// whatever is wrong with the files, ConfigError for options that do not fit the model.
  explicit BertModel(const std::filesystem::path& directory, const BertOptions& options = {});

  /// Computes the last hidden states (N, D) without dropout. Throws ShapeError for an id or a
  /// length that the model does not have. A second call of the same shapes allocates nothing.
  void forward(const PackedBatch& batch, Output<T> hidden) const;

  /// Computes a mixed batch: each text with the adapter that `routes` name for it, or none. They
  /// must be bound (AdapterRegistry::bind), so that all layers have the adapters of one moment.
  /// Throws StateError if they are not, ShapeError unless they are of as many texts, and as above.
  void forward(const PackedBatch& batch, const AdapterRoutes& routes, Output<T> hidden) const;

  /// Packs the batch and does the same. Throws ShapeError also for a batch whose parts do not fit.
  void forward(const text::TokenBatch& batch, Output<T> hidden) const;

  /// Computes the same with dropout, and keeps on the tape what backward needs.
  void forward(const text::TokenBatch& batch, BertTape<T>& tape, Output<T> hidden) const;

  /// Does the same of a mixed batch: backward adds to the gradients of every adapter that texts are
  /// routed to, which AdapterRegistry::parameters lists.
  void forward(const text::TokenBatch& batch, const AdapterRoutes& routes, BertTape<T>& tape,
               Output<T> hidden) const;

  /// Adds to the gradients of all that trains but the pooler, from dhidden (N, D). Throws
  /// ShapeError, and StateError without a forward, before anything changes.
  void backward(ConstMatrixRef<T> dhidden, BertTape<T>& tape) {
    run_backward(dhidden, tape, GradientTarget<T>::own());
  }

  /// Does the same, but adds to `gradients`, made from parameters(): what threads that train one
  /// model call, each with a tape and gradients of its own.
  void backward(ConstMatrixRef<T> dhidden, BertTape<T>& tape, Gradients<T>& gradients) const {
    run_backward(dhidden, tape, gradients);
  }

  /// Computes the pooler's output y (B, D), without dropout: tanh of a dense layer of each text's
  /// first token. Throws ShapeError, also for a text that begins with padding, and StateError where
  /// the files have no pooler.
  void pooler_output(const PackedBatch& batch, Output<T> y) const;

  /// Computes sentence embeddings y (B, D), without dropout: the mean of each text's last hidden
  /// states, not normalised. Throws ShapeError.
  void embed(const PackedBatch& batch, Output<T> y) const;

  /// Does the same of a mixed batch; see forward.
  void embed(const PackedBatch& batch, const AdapterRoutes& routes, Output<T> y) const;

  /// Calls action(layer) with each LoRALinear and LoRAEmbedding that has an adapter.
  template <class Action>
  void for_each_adapted(const Action& action) {
    encoder_.for_each_adapted(action);
    if (pooler_) pooler_->for_each_adapted(action);
  }

  /// Calls action(tokens) with each TrainableTokens: rows of embeddings that train.
  template <class Action>
  void for_each_trainable_tokens(const Action& action) {
    encoder_.for_each_trainable_tokens(action);
  }

  /// Adds what trains; see AdaptedModel.
  void list(ModelParameters<T>& list);

 private:
  void run_forward(BertTape<T>& tape, const Output<T>& hidden) const {
    Scratch scratch;
    const MatrixRef<T> result = encoder_.forward(tape.batch, ReadRows::all, &tape, scratch,
                                                 tape.routes.all(), tape.routes.last());
    copy(result, hidden, "BertModel::forward");
    // So that the tape holds a forward also where nothing trains.
    static_cast<void>(tape.frames.push(this, "BertModel", result.rows()));
  }

  // The last hidden states of a mixed batch.
  [[nodiscard]] MatrixRef<T> routed(const PackedBatch& batch, const AdapterRoutes& routes,
                                    const char* where, Scratch& scratch) const {
    refuse_active_tokens(this->peft_config(), routes, where);
    require_text_routes(routes, batch.sequences().size(), where);
    const AdapterRoutes rows = row_routes(routes, batch.sequences());
    return encoder_.forward(batch, ReadRows::all, nullptr, scratch, &rows, &rows);
  }

  static void copy(const MatrixRef<T>& from, const Output<T>& to, const char* where) {
    MatrixRef<T> out = to.shaped(from.rows(), from.cols(), where, "hidden");
    out = from;
  }

  void run_backward(ConstMatrixRef<T> dhidden, BertTape<T>& tape, GradientTarget<T> target) const;

  BertModel(const BertSource<T>& source, const BertOptions& options)
      : BertModel(source, source.builder(options.seed), options) {}

  BertModel(const BertSource<T>& source, ModelBuilder<T> builder, const BertOptions& options)
      : Base(source),
        encoder_(builder, source.config, "", ReadRows::all, options.recompute_activations) {
    const bool frozen = source.plan[source.pooler()].role == ModuleRole::frozen;
    if (!frozen) source.require_pooler();
    if (!frozen || source.has_pooler()) pooler_.emplace(builder, source);
    this->tie_adapters(*this);
    this->finish_loading();
  }

  BertEncoder<T, Frozen> encoder_;
  std::optional<BertPooler<T, Frozen>> pooler_;  // none where the files have none
};

// Defined outside the class, where they are not inline: a program that links lora::compiled then
// takes them from there and compiles none of what they call.

template <class T, class Frozen>
BertModel<T, Frozen>::BertModel(const std::filesystem::path& directory, const BertOptions& options)
    : BertModel(BertSource<T>(directory, options, BertParts{}), options) {}

template <class T, class Frozen>
void BertModel<T, Frozen>::forward(const PackedBatch& batch, Output<T> hidden) const {
  Scratch scratch;
  const MatrixRef<T> result = encoder_.forward(batch, ReadRows::all, nullptr, scratch);
  copy(result, hidden, "BertModel::forward");
}

template <class T, class Frozen>
void BertModel<T, Frozen>::forward(const PackedBatch& batch, const AdapterRoutes& routes,
                                   Output<T> hidden) const {
  Scratch scratch;
  copy(routed(batch, routes, "BertModel::forward", scratch), hidden, "BertModel::forward");
}

template <class T, class Frozen>
void BertModel<T, Frozen>::forward(const text::TokenBatch& batch, Output<T> hidden) const {
  forward(PackedBatch(batch), hidden);
}

template <class T, class Frozen>
void BertModel<T, Frozen>::forward(const text::TokenBatch& batch, BertTape<T>& tape,
                                   Output<T> hidden) const {
  tape.clear();
  tape.batch.assign(batch);
  run_forward(tape, hidden);
}

template <class T, class Frozen>
void BertModel<T, Frozen>::forward(const text::TokenBatch& batch, const AdapterRoutes& routes,
                                   BertTape<T>& tape, Output<T> hidden) const {
  tape.clear();
  tape.batch.assign(batch);
  refuse_active_tokens(this->peft_config(), routes, "BertModel::forward");
  require_text_routes(routes, tape.batch.sequences().size(), "BertModel::forward");
  const AdapterRoutes rows = row_routes(routes, tape.batch.sequences());
  tape.routes.assign(routes, rows, rows);
  run_forward(tape, hidden);
}

template <class T, class Frozen>
void BertModel<T, Frozen>::pooler_output(const PackedBatch& batch, Output<T> y) const {
  constexpr const char* where = "BertModel::pooler_output";
  if (!pooler_) throw StateError(message(where, ": the model's files have no pooler: see embed"));
  batch.require_first_columns(where);
  Scratch scratch;
  const MatrixRef<T> hidden = encoder_.forward(batch, ReadRows::all, nullptr, scratch);
  const Index texts = batch.sequences().size(), d = hidden.cols();
  const MatrixRef<T> first = scratch.matrix<T>(texts, d);
  pooler_->forward(hidden, batch.sequences(), nullptr, first, y.shaped(texts, d, where, "y"));
}

template <class T, class Frozen>
void BertModel<T, Frozen>::embed(const PackedBatch& batch, Output<T> y) const {
  Scratch scratch;
  const MatrixRef<T> hidden = encoder_.forward(batch, ReadRows::all, nullptr, scratch);
  mean_pooling<T>(hidden, batch.sequences(), y);
}

template <class T, class Frozen>
void BertModel<T, Frozen>::embed(const PackedBatch& batch, const AdapterRoutes& routes,
                                 Output<T> y) const {
  Scratch scratch;
  mean_pooling<T>(routed(batch, routes, "BertModel::embed", scratch), batch.sequences(), y);
}

template <class T, class Frozen>
void BertModel<T, Frozen>::list(ModelParameters<T>& list) {
  encoder_.list(list);
  if (pooler_) pooler_->list(list);
}

template <class T, class Frozen>
void BertModel<T, Frozen>::run_backward(ConstMatrixRef<T> dhidden, BertTape<T>& tape,
                                        GradientTarget<T> target) const {
  constexpr const char* where = "BertModel::backward";
  require_shape(dhidden, tape.frames.find(this, where).rows(), this->config().hidden_size, where,
                "dhidden");
  tape.frames.pop();
  if (!encoder_.trains()) return;
  Scratch scratch;
  MatrixRef<T> d = scratch.matrix<T>(dhidden.rows(), dhidden.cols());
  d = dhidden;
  encoder_.backward(tape, target, d);
}

}  // namespace lora::models
