#pragma once

#include <algorithm>
#include <array>
#include <span>
#include <string>

#include "lora/core/elementwise.hpp"
#include "lora/core/scratch.hpp"
#include "lora/models/bert/bert_config.hpp"
#include "lora/models/common/module_embedding.hpp"
#include "lora/models/common/module_norm.hpp"
#include "lora/models/common/packed_batch.hpp"
#include "lora/nn/dropout.hpp"
#include "lora/nn/embedding.hpp"

namespace lora::models {

/// The beginning of BERT's encoder: drop(norm(word + position + type)), (N, D). Tables that do
/// not train stay in the files' pages where their numbers are of type T.
template <class T>
class BertEmbeddings {
 public:
  /// Loads the embeddings called `name`. Throws FileError and ConfigError.
  BertEmbeddings(ModelBuilder<T>& builder, const BertConfig& config, const std::string& name)
      : name_(name),
        tables_{{{builder, name + ".word_embeddings", config.vocab_size, config.hidden_size,
                  config.pad_token_id},
                 {builder, name + ".position_embeddings", config.max_position_embeddings,
                  config.hidden_size},
                 {builder, name + ".token_type_embeddings", config.type_vocab_size,
                  config.hidden_size}}},
        norm_(builder, name + ".LayerNorm", config.hidden_size, config.layer_norm_eps),
        dropout_(config.hidden_dropout_prob, builder.next_seed()) {
    ModelParameters<T> trained;
    list(trained);
    trains_ = !trained.trained.empty();
  }

  /// Tells whether anything here trains, so that backward is to be called.
  [[nodiscard]] bool trains() const { return trains_; }

  /// Throws ShapeError for an id that a table does not have, and for a text with more tokens than
  /// positions.
  void check(const PackedBatch& batch) const {
    batch.require_positions(tables_[1].values().rows(), "BertEmbeddings::forward");
    for (std::size_t i = 0; i < tables_.size(); ++i) {
      const std::span<const int> all = ids(batch, i);
      const Index entries = tables_[i].values().rows();
      for (std::size_t at = 0; at < all.size(); ++at)
        if (all[at] < 0 || all[at] >= entries)
          throw ShapeError(message("BertEmbeddings::forward: id ", at, " of ", table_names[i],
                                   " is ", all[at], ", expected an entry in [0, ", entries, ")"));
    }
  }

  /// Computes y (N, D); with a tape with dropout, and it keeps what backward needs if anything
  /// trains. With routes each row with its adapter. Throws what `check` throws.
  void forward(const PackedBatch& batch, Tape<T>* tape, MatrixRef<T> y,
               const AdapterRoutes* routes = nullptr) const {
    check(batch);
    const bool keeps = tape != nullptr && trains_;
    if (!keeps) {
      look_up(batch, nullptr, y, routes);
      norm_.forward(y, nullptr, y);
    } else {
      auto& frame = tape->push(this, name_, y.rows());
      look_up(batch, tape, y, routes);
      const MatrixRef<T> sum = frame.keep(norm_.needs_input() ? y.rows() : 0, y.cols());
      MatrixRef<T> normed = frame.keep(dropout_.p() > 0 ? y.rows() : 0, y.cols());
      norm_.forward(y, tape, sum);
      if (dropout_.p() > 0) normed = y;
    }
    if (tape == nullptr || dropout_.p() == 0) return;
    dropout_.forward(y, *tape, y);
    if (!keeps) tape->discard();
  }

  /// Adds to the gradients of what trains, from y (N, D) of the forward and its gradient d, which
  /// is working memory afterwards. The routes are the forward's.
  void backward(const PackedBatch& batch, ConstMatrixRef<T> y, Tape<T>& tape,
                GradientTarget<T> target, MatrixRef<T> d,
                const AdapterRoutes* routes = nullptr) const {
    constexpr const char* where = "BertEmbeddings::backward";
    auto& frame = tape.find(this, where);
    const MatrixRef<T> sum = frame.kept(0), normed = frame.kept(1);
    if (dropout_.p() > 0) dropout_.backward(d, tape, d);
    norm_.backward(dropout_.p() > 0 ? ConstMatrixRef<T>(normed) : y, sum, tape, target, d);
    for (std::size_t i = tables_.size(); i-- > 0;)
      if (tables_[i].trains()) tables_[i].backward(ids(batch, i), d, tape, target, routes);
    static_cast<void>(tape.top(this, y.rows(), where));
    tape.pop();
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    for (ModuleEmbedding<T>& table : tables_) table.list(list);
    norm_.list(list);
  }

  /// Tells whether a table has an adapter or rows that train.
  [[nodiscard]] bool is_adapted() const {
    return std::any_of(tables_.begin(), tables_.end(),
                       [](const ModuleEmbedding<T>& table) { return table.is_adapted(); });
  }

  /// Calls action(layer) with each LoRAEmbedding.
  template <class Action>
  void for_each_adapted(const Action& action) {
    for (ModuleEmbedding<T>& table : tables_) table.for_each_adapted(action);
  }

  /// Calls action(tokens) with each table's TrainableTokens.
  template <class Action>
  void for_each_trainable_tokens(const Action& action) {
    for (ModuleEmbedding<T>& table : tables_) table.for_each_trainable_tokens(action);
  }

 private:
  // Writes the sum of the tables' rows to y.
  void look_up(const PackedBatch& batch, Tape<T>* tape, MatrixRef<T> y,
               const AdapterRoutes* routes) const {
    if (!is_adapted())
      return embedding<T>({{tables_[0].values(), batch.ids(), table_names[0]},
                           {tables_[1].values(), batch.positions(), table_names[1]},
                           {tables_[2].values(), batch.type_ids(), table_names[2]}},
                          y);
    Scratch scratch;
    const MatrixRef<T> part = scratch.matrix<T>(y.rows(), y.cols());
    for (std::size_t i = 0; i < tables_.size(); ++i) {
      tables_[i].forward(ids(batch, i), tape, i == 0 ? y : part, routes);
      if (i > 0) add_to<T>(part, y);
    }
  }

  static std::span<const int> ids(const PackedBatch& batch, std::size_t table) {
    return table == 0 ? batch.ids() : table == 1 ? batch.positions() : batch.type_ids();
  }

  static constexpr std::array<const char*, 3> table_names{"word_embeddings", "position_embeddings",
                                                          "token_type_embeddings"};

  std::string name_;
  std::array<ModuleEmbedding<T>, 3> tables_;
  ModuleNorm<T> norm_;
  Dropout<T> dropout_;
  bool trains_ = false;
};

}  // namespace lora::models
