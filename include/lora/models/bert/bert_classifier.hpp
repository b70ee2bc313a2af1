#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "lora/frozen/packed_weight.hpp"
#include "lora/models/bert/bert_encoder.hpp"
#include "lora/models/bert/bert_source.hpp"
#include "lora/models/common/adapted_model.hpp"
#include "lora/nn/first_token_pooling.hpp"
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
/// calls may come from several threads at once; a second call with the same buffers or tape and
/// the same shapes allocates nothing.
template <class T, BertTask task, class Frozen = PackedWeight<T>>
class BertClassifier : public AdaptedModel<T, BertClassifier<T, task, Frozen>, BertConfig> {
  using Base = AdaptedModel<T, BertClassifier<T, task, Frozen>, BertConfig>;

 public:
  /// Loads the model. A classifier and a pooler that train as a whole and that the files do not
  /// have are drawn from options.seed: normal numbers of initializer_range, no bias. Throws
  /// FileError for whatever is wrong with the files, ConfigError for options that do not fit the
  /// model.
  explicit BertClassifier(const std::filesystem::path& directory, const BertOptions& options = {})
      : BertClassifier(BertSource<T>(directory, options, parts(options)), options) {}

  [[nodiscard]] Index labels() const { return this->config().num_labels; }

  /// Computes the logits without dropout. Throws ShapeError for a batch whose parts do not fit, for
  /// an id or a length that the model does not have, and where a pooler would have to read padding:
  /// of a text that begins with it.
  void forward(const text::TokenBatch& batch, Matrix<T>& logits) const {
    BertBuffers<T> buffers;
    forward(batch, buffers, logits);
  }

  /// Does the same with memory that the next call uses again.
  void forward(const text::TokenBatch& batch, BertBuffers<T>& buffers, Matrix<T>& logits) const {
    assign(batch, buffers.batch);
    head(encoder_.forward_read(buffers), nullptr, buffers, logits);
  }

  /// Computes the same with dropout, and keeps what backward needs. Throws ShapeError.
  void forward(const text::TokenBatch& batch, BertTape<T>& tape, Matrix<T>& logits) const {
    tape.clear();
    assign(batch, tape.buffers.batch);
    head(encoder_.forward(tape), &tape.frames, tape.buffers, logits);
    tape.waits = true;
  }

  /// Adds to the gradients of all that trains, from dlogits. Throws ShapeError, and StateError
  /// without a forward, before anything changes.
  void backward(const Matrix<T>& dlogits, BertTape<T>& tape) {
    if (tape.empty())
      throw StateError(
          "BertClassifier::backward: the tape is empty: run forward(batch, tape, logits)");
    auto& [first, pooled, dropped, dpooled, dfirst] = tape.buffers.pooled;
    if (!encoder_.trains() && !pooler_trains_) {
      classifier_.backward(dropped, dlogits, tape.frames);
      return tape.clear();
    }
    Matrix<T>& d = encoder_.dhidden(tape);
    Matrix<T>& dfeatures = per_token ? d : dpooled;
    classifier_.backward(dropped, dlogits, tape.frames, dfeatures);
    dropout_.backward(dfeatures, tape.frames, dfeatures);
    if constexpr (!per_token) {
      const Sequences& sequences = encoder_.rows(tape.buffers.batch);
      if (pooler_) {
        tanh_activation_backward<T>(pooled, dpooled, dpooled);
        if (!encoder_.trains()) {
          pooler_->backward(first, dpooled, tape.frames);
          return tape.clear();
        }
        pooler_->backward(first, dpooled, tape.frames, dfirst);
        first_token_pooling_backward<T>(dfirst, sequences, d);
      } else {
        mean_pooling_backward<T>(dpooled, sequences, d);
      }
    }
    encoder_.backward(tape);
    tape.clear();
  }

  /// Computes sentence embeddings y (B, D), without dropout and head: the mean of each text's last
  /// hidden states, not normalised. Throws ShapeError.
  void embed(const text::TokenBatch& batch, BertBuffers<T>& buffers, Matrix<T>& y) const {
    buffers.batch.assign(batch);
    mean_pooling<T>(encoder_.forward(buffers), buffers.batch.sequences(), y);
  }

  /// Switches all LoRA adapters on or off: off is the base model, but for what trains whole.
  void set_adapters_enabled(bool enabled) {
    encoder_.set_adapters_enabled(enabled);
    if (pooler_) pooler_->set_adapter_enabled(enabled);
    classifier_.set_adapter_enabled(enabled);
  }

  /// Adds what trains; see AdaptedModel.
  void list(ModelParameters<T>& list) {
    encoder_.list(list);
    if (pooler_) pooler_->list(list);
    classifier_.list(list);
  }

 private:
  void assign(const text::TokenBatch& batch, PackedBatch& packed) const {
    packed.assign(batch);
    if (pooler_) packed.require_first_columns("BertClassifier::forward");
  }

  // Computes the logits from the hidden states that are read; with a tape with dropout.
  void head(const Matrix<T>& hidden, Tape<T>* tape, BertBuffers<T>& buffers,
            Matrix<T>& logits) const {
    auto& [first, pooled, dropped, dpooled, dfirst] = buffers.pooled;
    const Matrix<T>* features = &pooled;
    if constexpr (per_token) {
      features = &hidden;
    } else if (pooler_) {
      first_token_pooling<T>(hidden, encoder_.rows(buffers.batch), first);
      pooler_->forward(first, tape, pooled);
      tanh_activation<T>(pooled, pooled);
    } else {
      mean_pooling<T>(hidden, encoder_.rows(buffers.batch), pooled);
    }
    if (tape == nullptr) return classifier_.forward(*features, tape, logits);
    // Always through `dropped`: backward finds the classifier's input there.
    dropout_.forward(*features, *tape, dropped);
    classifier_.forward(dropped, tape, logits);
  }

  static constexpr bool per_token = task == BertTask::token_classification;

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
        classifier_(builder, "classifier", source.config.num_labels, source.config.hidden_size,
                    true) {
    if (source.parts.pooler) {
      source.require_pooler();
      const Index d = source.config.hidden_size;
      pooler_.emplace(builder, source.pooler(), d, d, true);
      ModelParameters<T> parameters;
      pooler_->list(parameters);
      pooler_trains_ = !parameters.trained.empty();
    }
    this->release_pages();
  }

  BertEncoder<T, Frozen> encoder_;
  std::optional<ModuleLinear<T, Frozen>> pooler_;
  bool pooler_trains_ = false;
  Dropout<T> dropout_;
  ModuleLinear<T, Frozen> classifier_;
};

/// Labels texts; see BertClassifier.
template <class T, class Frozen = PackedWeight<T>>
using BertForSequenceClassification = BertClassifier<T, BertTask::sequence_classification, Frozen>;

/// Labels tokens; see BertClassifier.
template <class T, class Frozen = PackedWeight<T>>
using BertForTokenClassification = BertClassifier<T, BertTask::token_classification, Frozen>;

}  // namespace lora::models
