#pragma once

#include <filesystem>
#include <optional>

#include "lora/frozen/packed_weight.hpp"
#include "lora/models/bert/bert_encoder.hpp"
#include "lora/models/bert/bert_source.hpp"
#include "lora/models/common/adapted_model.hpp"
#include "lora/nn/first_token_pooling.hpp"
#include "lora/nn/mean_pooling.hpp"

namespace lora::models {

/// A BERT-family encoder without a head (Devlin et al., "BERT", 2018; transformers' BertModel),
/// loaded from a Hugging Face directory: config.json and model.safetensors or its shards.
///
/// `Frozen` stores the weights that do not train: PackedWeight<T> is the fastest, MappedWeight<T>
/// leaves them in the file's pages and copies nothing where the file's numbers are of type T.
///
/// N is the number of tokens of a batch: rows are its tokens where attention_mask is 1, text after
/// text. Const calls may come from several threads at once.
template <class T, class Frozen = PackedWeight<T>>
class BertModel : public AdaptedModel<T, BertModel<T, Frozen>, BertConfig> {
  using Base = AdaptedModel<T, BertModel<T, Frozen>, BertConfig>;

 public:
  /// Loads the model; options.labels and options.pooling mean nothing to it. Throws FileError for
  /// whatever is wrong with the files, ConfigError for options that do not fit the model.
  explicit BertModel(const std::filesystem::path& directory, const BertOptions& options = {})
      : BertModel(BertSource<T>(directory, options, BertParts{}), options) {}

  /// Computes the last hidden states (N, D) without dropout. Throws ShapeError for a batch whose
  /// parts do not fit, and for an id or a length that the model does not have.
  void forward(const text::TokenBatch& batch, Matrix<T>& hidden) const {
    BertBuffers<T> buffers;
    forward(batch, buffers, hidden);
  }

  /// Does the same with memory that the next call uses again.
  void forward(const text::TokenBatch& batch, BertBuffers<T>& buffers, Matrix<T>& hidden) const {
    buffers.batch.assign(batch);
    hidden = encoder_.forward(buffers);
  }

  /// Computes the same with dropout, and keeps what backward needs.
  void forward(const text::TokenBatch& batch, BertTape<T>& tape, Matrix<T>& hidden) const {
    tape.clear();
    tape.buffers.batch.assign(batch);
    hidden = encoder_.forward(tape);
    tape.waits = true;
  }

  /// Adds to the gradients of all that trains but the pooler, from dhidden (N, D). Throws
  /// ShapeError, and StateError without a forward, before anything changes.
  void backward(const Matrix<T>& dhidden, BertTape<T>& tape) {
    if (tape.empty())
      throw StateError("BertModel::backward: the tape is empty: run forward(batch, tape, hidden)");
    require_shape(dhidden, tape.buffers.batch.sequences().rows(), this->config().hidden_size,
                  "BertModel::backward", "dhidden");
    encoder_.dhidden(tape) = dhidden;
    encoder_.backward(tape);
    tape.clear();
  }

  /// Computes the pooler's output (B, D), without dropout: tanh of a dense layer of each text's
  /// first token. Throws ShapeError, also for a text that begins with padding, and StateError where
  /// the files have no pooler.
  void pooler_output(const text::TokenBatch& batch, BertBuffers<T>& buffers, Matrix<T>& y) const {
    if (!pooler_)
      throw StateError("BertModel::pooler_output: the model's files have no pooler: see embed");
    buffers.batch.assign(batch);
    buffers.batch.require_first_columns("BertModel::pooler_output");
    first_token_pooling<T>(encoder_.forward(buffers), buffers.batch.sequences(), buffers.pooled[0]);
    pooler_->forward(buffers.pooled[0], nullptr, y);
    tanh_activation<T>(y, y);
  }

  /// Computes sentence embeddings y (B, D), without dropout: the mean of each text's last hidden
  /// states, not normalised. Throws ShapeError.
  void embed(const text::TokenBatch& batch, BertBuffers<T>& buffers, Matrix<T>& y) const {
    buffers.batch.assign(batch);
    mean_pooling<T>(encoder_.forward(buffers), buffers.batch.sequences(), y);
  }

  /// Switches all LoRA adapters on or off: off is the base model.
  void set_adapters_enabled(bool enabled) {
    encoder_.set_adapters_enabled(enabled);
    if (pooler_) pooler_->set_adapter_enabled(enabled);
  }

  /// Adds what trains; see AdaptedModel.
  void list(ModelParameters<T>& list) {
    encoder_.list(list);
    if (pooler_) pooler_->list(list);
  }

 private:
  BertModel(const BertSource<T>& source, const BertOptions& options)
      : BertModel(source, source.builder(options.seed), options) {}

  BertModel(const BertSource<T>& source, ModelBuilder<T> builder, const BertOptions& options)
      : Base(source),
        encoder_(builder, source.config, "", ReadRows::all, options.recompute_activations) {
    const Index d = source.config.hidden_size;
    const bool frozen = source.plan[source.pooler()].role == ModuleRole::frozen;
    if (!frozen) source.require_pooler();
    if (!frozen || source.has_pooler()) pooler_.emplace(builder, source.pooler(), d, d, true);
    this->release_pages();
  }

  BertEncoder<T, Frozen> encoder_;
  std::optional<ModuleLinear<T, Frozen>> pooler_;  // none where the files have none
};

}  // namespace lora::models
