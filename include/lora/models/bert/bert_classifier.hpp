#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "lora/frozen/packed_weight.hpp"
#include "lora/models/bert/bert_encoder.hpp"
#include "lora/models/bert/bert_pooler.hpp"
#include "lora/models/bert/bert_source.hpp"
#include "lora/models/common/adapted_model.hpp"
#include "lora/models/common/own_rows.hpp"
#include "lora/models/common/text_routes.hpp"
#include "lora/nn/mean_pooling.hpp"

namespace lora::models {

/// The thing that a BertClassifier gives a label to.
enum class BertTask {
  sequence_classification,  ///< a text: transformers' BertForSequenceClassification
  token_classification,     ///< each token: transformers' BertForTokenClassification
};

/// A BERT encoder with a linear classifier on top, loaded from a Hugging Face directory; see
/// BertModel for its files and for `Frozen`.
///
/// Logits are (B, labels) for texts. For tokens they are (N, labels), a row for each token of the
/// batch where attention_mask is 1, text after text: pack_labels puts labels in that order. Const
/// calls may come from several threads at once, each with a tape and Gradients of its own where
/// they take them; a second call of the same shapes allocates nothing.
template <class T, BertTask task, class Frozen = PackedWeight<T>>
class BertClassifier : public AdaptedModel<T, BertClassifier<T, task, Frozen>, BertConfig> {
  using Base = AdaptedModel<T, BertClassifier<T, task, Frozen>, BertConfig>;

 public:
  using FrozenStorage = Frozen;

  /// Loads the model. A classifier and a pooler that train as a whole and that the files do not
  /// have are drawn from options.seed: normal numbers of initializer_range, no bias. Throws
  /// FileError for whatever is wrong with the files, ConfigError for options that do not fit the
  /// model.
  explicit BertClassifier(const std::filesystem::path& directory, const BertOptions& options = {});

  [[nodiscard]] Index labels() const { return this->config().num_labels; }

  /// Computes the logits without dropout. Throws ShapeError for an id or a length that the model
  /// does not have, and where a pooler would have to read padding: of a text that begins with it.
  /// A second call of the same shapes allocates nothing.
  void forward(const PackedBatch& batch, Output<T> logits) const;

  /// Computes a mixed batch: each text with the adapter that `routes` name for it, or none. They
  /// must be bound (AdapterRegistry::bind), so that all layers have the adapters of one moment.
  /// Throws StateError if they are not, ShapeError unless they are of as many texts, and as above.
  void forward(const PackedBatch& batch, const AdapterRoutes& routes, Output<T> logits) const;

  /// Packs the batch and does the same. Throws ShapeError also for a batch whose parts do not fit.
  void forward(const text::TokenBatch& batch, Output<T> logits) const;

  /// Computes the same with dropout, and keeps on the tape what backward needs.
  void forward(const text::TokenBatch& batch, BertTape<T>& tape, Output<T> logits) const;

  /// Does the same of a mixed batch: backward adds to the gradients of every adapter that texts are
  /// routed to, which AdapterRegistry::parameters lists, and of what trains as a whole, which all
  /// texts share.
  void forward(const text::TokenBatch& batch, const AdapterRoutes& routes, BertTape<T>& tape,
               Output<T> logits) const;

  /// Adds to the gradients of all that trains, from dlogits. Throws ShapeError, and StateError
  /// without a forward, before anything changes.
  void backward(ConstMatrixRef<T> dlogits, BertTape<T>& tape) {
    run_backward(dlogits, tape, GradientTarget<T>::own());
  }

  /// Does the same, but adds to `gradients`, made from parameters(): what threads that train one
  /// model call, each with a tape and gradients of its own.
  void backward(ConstMatrixRef<T> dlogits, BertTape<T>& tape, Gradients<T>& gradients) const {
    run_backward(dlogits, tape, gradients);
  }

  /// Computes sentence embeddings y (B, D), without dropout and head: the mean of each text's last
  /// hidden states, not normalised. Throws ShapeError.
  void embed(const PackedBatch& batch, Output<T> y) const;

  /// Calls action(layer) with each LoRALinear and LoRAEmbedding that has an adapter.
  template <class Action>
  void for_each_adapted(const Action& action) {
    encoder_.for_each_adapted(action);
    if (pooler_) pooler_->for_each_adapted(action);
    classifier_.for_each_adapted(action);
  }

  /// Calls action(tokens) with each TrainableTokens: rows of embeddings that train.
  template <class Action>
  void for_each_trainable_tokens(const Action& action) {
    encoder_.for_each_trainable_tokens(action);
  }

  /// Adds what trains; see AdaptedModel.
  void list(ModelParameters<T>& list);

 private:
  static constexpr bool per_token = task == BertTask::token_classification;

  // The activations of the head: B texts, N tokens, Q rows that the head reads, D features.
  struct Activations {
    MatrixRef<T> first;    // (B, D), the first tokens' hidden states, for a pooler
    MatrixRef<T> pooled;   // (B, D), after tanh or the mean; empty for tokens
    MatrixRef<T> dropped;  // (B, D) or (N, D), the classifier's input
  };

  // As in BertLayer: without a backward what is read no more is written over.
  template <class Place>
  [[nodiscard]] Activations laid_out(Index texts, Index rows, Index d, const Place& place) const {
    return {.first = place(pooler_ ? texts : 0, d),
            .pooled = place(per_token ? 0 : texts, d),
            .dropped = place(per_token ? rows : texts, d)};
  }

  void check(const PackedBatch& batch) const {
    if (pooler_) batch.require_first_columns("BertClassifier::forward");
  }

  void run_forward(BertTape<T>& tape, const Output<T>& logits) const {
    const TapeRoutes& routes = tape.routes;
    Scratch scratch;
    head(encoder_.forward(tape.batch, encoder_.read(), &tape, scratch, routes.all(), routes.last()),
         tape.batch, &tape.frames, logits, routes.texts(),
         per_token ? routes.last() : routes.texts());
  }

  // Computes the logits from the hidden states (Q, D) that are read; with a tape with dropout.
  void head(MatrixRef<T> hidden, const PackedBatch& batch, Tape<T>* tape, Output<T> logits,
            const AdapterRoutes* pooled = nullptr,
            const AdapterRoutes* classified = nullptr) const {
    const Sequences& sequences = batch.sequences(encoder_.read());
    Scratch scratch;
    auto* const frame =
        tape == nullptr ? nullptr : &tape->push(this, "BertClassifier", hidden.rows());
    const Activations a =
        laid_out(sequences.size(), hidden.rows(), hidden.cols(), [&](Index rows, Index cols) {
          return frame == nullptr ? scratch.matrix<T>(rows, cols) : frame->keep(rows, cols);
        });
    if (pooler_) {
      pooler_->forward(hidden, sequences, tape, a.first, a.pooled, pooled);
    } else if (!per_token) {
      mean_pooling<T>(hidden, sequences, a.pooled);
    }
    const MatrixRef<T>& features = per_token ? hidden : a.pooled;
    if (tape == nullptr) return classifier_.forward(features, tape, logits, classified);
    dropout_.forward(features, *tape, a.dropped);
    classifier_.forward(a.dropped, tape, logits, classified);
  }

  void run_backward(ConstMatrixRef<T> dlogits, BertTape<T>& tape, GradientTarget<T> target) const;

  static BertParts parts(const BertOptions& options) {
    return {.prefix = "bert.",
            .pooler = !per_token && options.pooling == BertPooling::pooler,
            .classifier = true};
  }

  BertClassifier(const BertSource<T>& source, const BertOptions& options)
      : BertClassifier(source, source.builder(options.seed), options) {}

  BertClassifier(const BertSource<T>& source, ModelBuilder<T> builder, const BertOptions& options)
      : Base(source),
        encoder_(builder, source.config, source.parts.prefix,
                 source.parts.pooler ? ReadRows::first : ReadRows::all,
                 options.recompute_activations),
        dropout_(source.config.classifier_dropout.value_or(source.config.hidden_dropout_prob),
                 builder.next_seed()),
        classifier_(builder, "classifier",
                    {.out = source.config.num_labels,
                     .in = source.config.hidden_size,
                     .may_be_new = true}) {
    if (source.parts.pooler) {
      source.require_pooler();
      pooler_.emplace(builder, source);
    }
    this->tie_adapters(*this);
    this->finish_loading();
  }

  BertEncoder<T, Frozen> encoder_;
  std::optional<BertPooler<T, Frozen>> pooler_;
  Dropout<T> dropout_;
  ModuleLinear<T, Frozen> classifier_;
};

// Defined outside the class, where they are not inline: a program that links lora::compiled then
// takes them from there and compiles none of what they call.

template <class T, BertTask task, class Frozen>
BertClassifier<T, task, Frozen>::BertClassifier(const std::filesystem::path& directory,
                                                const BertOptions& options)
    : BertClassifier(BertSource<T>(directory, options, parts(options)), options) {}

template <class T, BertTask task, class Frozen>
void BertClassifier<T, task, Frozen>::forward(const PackedBatch& batch, Output<T> logits) const {
  check(batch);
  Scratch scratch;
  head(encoder_.forward(batch, encoder_.read(), nullptr, scratch), batch, nullptr, logits);
}

template <class T, BertTask task, class Frozen>
void BertClassifier<T, task, Frozen>::forward(const PackedBatch& batch, const AdapterRoutes& routes,
                                              Output<T> logits) const {
  refuse_active_tokens(this->peft_config(), routes, "BertClassifier::forward");
  require_text_routes(routes, batch.sequences().size(), "BertClassifier::forward");
  check(batch);
  const AdapterRoutes rows = row_routes(routes, batch.sequences()),
                      read = row_routes(routes, batch.sequences(encoder_.read()));
  Scratch scratch;
  head(encoder_.forward(batch, encoder_.read(), nullptr, scratch, &rows, &read), batch, nullptr,
       logits, &routes, per_token ? &read : &routes);
}

template <class T, BertTask task, class Frozen>
void BertClassifier<T, task, Frozen>::forward(const text::TokenBatch& batch,
                                              Output<T> logits) const {
  forward(PackedBatch(batch), logits);
}

template <class T, BertTask task, class Frozen>
void BertClassifier<T, task, Frozen>::forward(const text::TokenBatch& batch, BertTape<T>& tape,
                                              Output<T> logits) const {
  tape.clear();
  tape.batch.assign(batch);
  check(tape.batch);
  run_forward(tape, logits);
}

template <class T, BertTask task, class Frozen>
void BertClassifier<T, task, Frozen>::forward(const text::TokenBatch& batch,
                                              const AdapterRoutes& routes, BertTape<T>& tape,
                                              Output<T> logits) const {
  tape.clear();
  tape.batch.assign(batch);
  refuse_active_tokens(this->peft_config(), routes, "BertClassifier::forward");
  require_text_routes(routes, tape.batch.sequences().size(), "BertClassifier::forward");
  check(tape.batch);
  tape.routes.assign(routes, row_routes(routes, tape.batch.sequences()),
                     row_routes(routes, tape.batch.sequences(encoder_.read())));
  run_forward(tape, logits);
}

template <class T, BertTask task, class Frozen>
void BertClassifier<T, task, Frozen>::embed(const PackedBatch& batch, Output<T> y) const {
  Scratch scratch;
  const MatrixRef<T> hidden = encoder_.forward(batch, ReadRows::all, nullptr, scratch);
  mean_pooling<T>(hidden, batch.sequences(), y);
}

template <class T, BertTask task, class Frozen>
void BertClassifier<T, task, Frozen>::list(ModelParameters<T>& list) {
  encoder_.list(list);
  if (pooler_) pooler_->list(list);
  classifier_.list(list);
}

template <class T, BertTask task, class Frozen>
void BertClassifier<T, task, Frozen>::run_backward(ConstMatrixRef<T> dlogits, BertTape<T>& tape,
                                                   GradientTarget<T> target) const {
  constexpr const char* where = "BertClassifier::backward";
  Tape<T>& frames = tape.frames;
  auto& frame = frames.find(this, where);
  const Index d = this->config().hidden_size, rows = frame.rows();
  const Sequences& sequences = tape.batch.sequences(encoder_.read());
  std::size_t next = 0;
  const Activations a =
      laid_out(sequences.size(), rows, d, [&](Index, Index) { return frame.kept(next++); });
  if (!encoder_.trains() && !(pooler_ && pooler_->trains())) {
    classifier_.backward(a.dropped, dlogits, frames, target);
    return tape.clear();
  }
  Scratch scratch;
  const MatrixRef<T> dhidden = scratch.matrix<T>(rows, d);
  const MatrixRef<T> dfeatures =
      per_token ? MatrixRef<T>(dhidden) : scratch.matrix<T>(sequences.size(), d);
  classifier_.backward(a.dropped, dlogits, frames, target, dfeatures);
  dropout_.backward(dfeatures, frames, dfeatures);
  if (pooler_) {
    if (encoder_.trains())
      pooler_->backward(a.first, a.pooled, dfeatures, frames, target, sequences, dhidden);
    else
      pooler_->backward(a.first, a.pooled, dfeatures, frames, target);
  } else if (!per_token) {
    mean_pooling_backward<T>(dfeatures, sequences, dhidden);
  }
  static_cast<void>(frames.top(this, rows, where));
  frames.pop();
  if (encoder_.trains()) encoder_.backward(tape, target, dhidden);
}

/// Labels texts; see BertClassifier.
template <class T, class Frozen = PackedWeight<T>>
using BertForSequenceClassification = BertClassifier<T, BertTask::sequence_classification, Frozen>;

/// Labels tokens; see BertClassifier.
template <class T, class Frozen = PackedWeight<T>>
using BertForTokenClassification = BertClassifier<T, BertTask::token_classification, Frozen>;

}  // namespace lora::models
