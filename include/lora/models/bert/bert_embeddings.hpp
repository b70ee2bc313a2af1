#pragma once

#include <array>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "lora/core/scratch.hpp"
#include "lora/models/bert/bert_config.hpp"
#include "lora/models/bert/bert_tape.hpp"
#include "lora/models/common/module_norm.hpp"
#include "lora/nn/dropout.hpp"
#include "lora/nn/embedding.hpp"

namespace lora::models {

/// The beginning of BERT's encoder: drop(norm(word + position + type)), (N, D). Tables that do
/// not train stay in the files' pages where their numbers are of type T.
template <class T>
class BertEmbeddings {
 public:
  /// Loads the embeddings called `name`. Throws FileError.
  BertEmbeddings(ModelBuilder<T>& builder, const BertConfig& config, const std::string& name)
      : tables_{{{builder, name + ".word_embeddings", config.vocab_size, config.hidden_size},
                 {builder, name + ".position_embeddings", config.max_position_embeddings,
                  config.hidden_size},
                 {builder, name + ".token_type_embeddings", config.type_vocab_size,
                  config.hidden_size}}},
        padding_(config.pad_token_id),
        norm_(builder, name + ".LayerNorm", config.hidden_size, config.layer_norm_eps),
        dropout_(config.hidden_dropout_prob, builder.next_seed()) {
    ModelParameters<T> trained;
    list(trained);
    trains_ = !trained.trained.empty();
  }

  /// Tells whether anything here trains, so that backward is to be called.
  [[nodiscard]] bool trains() const { return trains_; }

  /// Computes y (N, D); with a tape with dropout, and it keeps what backward needs if anything
  /// trains. Throws ShapeError for an id that a table does not have.
  void forward(const PackedBatch& batch, BertTape<T>* tape, Matrix<T>& y) const {
    look_up(batch, y);
    Matrix<T> unused;
    const bool keeps = tape != nullptr && trains_;
    norm_.forward(y, keeps ? &tape->frames : nullptr, keeps ? tape->embedded[0] : unused);
    if (tape == nullptr || dropout_.p() == 0) return;
    if (keeps) tape->embedded[1] = y;
    dropout_.forward(y, tape->frames, y);
    if (!keeps) tape->frames.discard();
  }

  /// Adds to the gradients of what trains, from that of y: `d` (N, D), which is
  /// working memory afterwards.
  void backward(const PackedBatch& batch, ConstMatrixRef<T> y, BertTape<T>& tape, Matrix<T>& d) {
    if (dropout_.p() > 0) {
      dropout_.backward(d, tape.frames, d);
      norm_.backward(tape.embedded[1], tape.embedded[0], tape.frames, d);
    } else {
      norm_.backward(y, tape.embedded[0], tape.frames, d);
    }
    MatrixRef<T> words = tables_[0].parameter.grad;
    const Index fixed = tables_[0].trained ? padding_.value_or(-1) : -1;
    Scratch scratch;
    MatrixRef<T> before = scratch.matrix<T>(1, d.cols());
    if (fixed >= 0) before = words.row(fixed);
    for (std::size_t i = 0; i < tables_.size(); ++i)
      if (tables_[i].trained) embedding_backward<T>(ids(batch, i), d, tables_[i].parameter.grad);
    if (fixed >= 0) words.row(fixed) = before;
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    for (Table& table : tables_) {
      list.total += table.values().size();
      if (table.trained) list.add(table.parameter);
    }
    norm_.list(list);
  }

 private:
  struct Table {
    Table(ModelBuilder<T>& builder, const std::string& name, Index entries, Index d)
        : trained(builder.plan[name].role == ModuleRole::trained), frozen(nullptr, 0, 0, 0) {
      if (trained)
        parameter =
            Parameter<T>(name + ".weight", builder.weights.copy(name + ".weight", entries, d));
      else
        std::construct_at(&frozen, builder.weights.matrix(name + ".weight", entries, d));
    }

    [[nodiscard]] ConstMatrixRef<T> values() const {
      return trained ? ConstMatrixRef<T>(parameter.value) : frozen;
    }

    bool trained;
    Parameter<T> parameter;
    ConstMatrixRef<T> frozen;
  };

  static std::span<const int> ids(const PackedBatch& batch, std::size_t table) {
    return table == 0 ? batch.ids() : table == 1 ? batch.positions() : batch.type_ids();
  }

  void look_up(const PackedBatch& batch, Matrix<T>& y) const {
    batch.require_positions(tables_[1].values().rows(), "BertEmbeddings::forward");
    embedding<T>({{tables_[0].values(), batch.ids(), "word_embeddings"},
                  {tables_[1].values(), batch.positions(), "position_embeddings"},
                  {tables_[2].values(), batch.type_ids(), "token_type_embeddings"}},
                 y);
  }

  std::array<Table, 3> tables_;
  std::optional<Index> padding_;  // the word whose embedding never trains
  ModuleNorm<T> norm_;
  Dropout<T> dropout_;
  bool trains_ = false;
};

}  // namespace lora::models
