#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "lora/core/gradients.hpp"
#include "lora/core/output.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/tape.hpp"
#include "lora/frozen/dense_weight.hpp"
#include "lora/layers/lora_embedding.hpp"
#include "lora/layers/trainable_tokens.hpp"
#include "lora/models/common/model_builder.hpp"
#include "lora/models/common/model_parameters.hpp"
#include "lora/models/common/module_linear.hpp"
#include "lora/models/common/own_rows.hpp"
#include "lora/nn/embedding.hpp"
#include "lora/random/substream.hpp"

namespace lora::models {

/// Makes the embedding (entries, features) called `name` with the adapter of its plan. Throws
/// FileError, and ConfigError for a rank above rank_limit.
template <class T, class Frozen>
[[nodiscard]] LoRAEmbedding<T, Frozen> make_lora_embedding(ModelBuilder<T>& builder,
                                                           const std::string& name, Index entries,
                                                           Index features,
                                                           std::optional<Index> padding_idx = {}) {
  ModulePlan plan = builder.plan[name];
  require_rank(plan.lora.rank, name, features, entries);
  plan.lora.train_bias = false;
  LoRAEmbedding<T, Frozen> layer(
      builder.weights.template frozen<Frozen>(name + ".weight", entries, features),
      {.padding_idx = padding_idx});
  layer.set_name(name);
  // By its name, not the builder's next seed: what else is adapted changes no module's start.
  layer.add_adapter(default_adapter, plan.lora, builder.seed ^ substream_of(name));
  return layer;
}

/// Adds what trains of an adapted embedding.
template <class T, class Layer>
void list_lora_embedding(Layer& layer, ModelParameters<T>& list) {
  list.total += layer.total_parameters();
  list.trained.add(layer.parameters());
  list.slots.emplace_back(layer);
}

/// An embedding (entries, features) of a model: frozen, in the files' pages where its numbers are
/// of type T; with some rows that train in the place of the table's; with an adapter, over a copy
/// of its own; or trained as a whole, as its plan says.
template <class T>
class ModuleEmbedding {
 public:
  /// Loads the embedding called `name`; the entry padding_idx never trains. Throws FileError and
  /// ConfigError.
  ModuleEmbedding(ModelBuilder<T>& builder, const std::string& name, Index entries, Index features,
                  std::optional<Index> padding_idx = {})
      : padding_(padding_idx) {
    const std::string weight = name + ".weight";
    const ModuleRole role = builder.plan[name].role;
    if (role == ModuleRole::adapted)
      lora_.emplace(make_lora_embedding<T, DenseWeight<T>>(builder, name, entries, features,
                                                           entry_of(padding_idx, entries)));
    else if (role == ModuleRole::trained)
      table_ = Parameter<T>(weight, builder.weights.copy(weight, entries, features));
    else
      std::construct_at(&frozen_, builder.weights.matrix(weight, entries, features));
    if (const auto& tokens = builder.plan[name].trainable_tokens; !tokens.empty())
      tokens_.emplace(name, tokens, frozen_);
  }

  /// Returns the table, without an adapter's update and the rows that train.
  [[nodiscard]] ConstMatrixRef<T> values() const {
    if (lora_) return lora_->weight().matrix();
    return table_.size() > 0 ? ConstMatrixRef<T>(table_.value) : frozen_;
  }

  /// Tells whether values() are not all that forward computes with.
  [[nodiscard]] bool is_adapted() const { return lora_ || tokens_; }

  /// Tells whether anything trains, so that backward is to be called.
  [[nodiscard]] bool trains() const { return is_adapted() || table_.size() > 0; }

  /// Computes y (N, features) for ids; with a tape, which only an adapted one needs, it keeps there
  /// what backward needs. With routes each id has its adapter, and rows that train act in those of
  /// OwnRows. Throws ShapeError for an id that is no entry.
  void forward(std::span<const int> ids, Tape<T>* tape, MatrixRef<T> y,
               const AdapterRoutes* routes = nullptr) const {
    if (!lora_) {
      embedding<T>({EmbeddingLookup<T>{values(), ids}}, y);
      if (tokens_) tokens_->forward(ids, y, OwnRows(routes).chosen());
      return;
    }
    if (routes != nullptr)
      return tape == nullptr ? lora_->forward(ids, *routes, y)
                             : lora_->forward(ids, *routes, *tape, y);
    tape == nullptr ? lora_->forward(ids, y) : lora_->forward(ids, *tape, y);
  }

  /// Adds to the gradients of what trains, which there must be. The routes are the forward's.
  void backward(std::span<const int> ids, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> target, const AdapterRoutes* routes = nullptr) const {
    if (lora_) return lora_->backward(ids, dy, tape, target);
    Scratch scratch;
    if (tokens_) return tokens_backward(ids, dy, target, OwnRows(routes).chosen(), scratch);
    MatrixRef<T> dtable = target.of(table_);
    const auto fixed = entry_of(padding_, dtable.rows());
    MatrixRef<T> before = scratch.matrix<T>(1, dy.cols());
    if (fixed) before = dtable.row(*fixed);
    embedding_backward<T>(ids, dy, dtable);
    if (fixed) dtable.row(*fixed) = before;
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    if (lora_) return list_lora_embedding(*lora_, list);
    list.total += values().size();
    if (tokens_) list.add_tokens(*tokens_);
    if (table_.size() > 0) list.add(table_);
  }

  /// Calls action(layer) with the LoRAEmbedding, if there is one.
  template <class Action>
  void for_each_adapted(const Action& action) {
    if (lora_) action(*lora_);
  }

  /// Calls action(tokens) with the TrainableTokens, if there are some.
  template <class Action>
  void for_each_trainable_tokens(const Action& action) {
    if (tokens_) action(*tokens_);
  }

 private:
  // The padding entry does not train.
  void tokens_backward(std::span<const int> ids, ConstMatrixRef<T> dy, GradientTarget<T> target,
                       std::span<const char> chosen, Scratch& scratch) const {
    const auto fixed = entry_of(padding_, tokens_->entries());
    if (!fixed || std::find(ids.begin(), ids.end(), *fixed) == ids.end())
      return tokens_->backward(ids, dy, target, chosen);
    MatrixRef<T> trains = scratch.matrix<T>(dy.rows(), dy.cols());
    trains = dy;
    for (std::size_t n = 0; n < ids.size(); ++n)
      if (ids[n] == *fixed) trains.row(static_cast<Index>(n)).setZero();
    tokens_->backward(ids, trains, target, chosen);
  }

  // A config may name an entry that the table does not have.
  static std::optional<Index> entry_of(std::optional<Index> padding, Index entries) {
    return padding && *padding >= 0 && *padding < entries ? padding : std::nullopt;
  }

  std::optional<Index> padding_;
  std::optional<LoRAEmbedding<T>> lora_;        // if it is adapted,
  Parameter<T> table_;                          // or trains,
  ConstMatrixRef<T> frozen_{nullptr, 0, 0, 0};  // or lies in the files,
  std::optional<TrainableTokens<T>> tokens_;    // where some rows may train
};

}  // namespace lora::models
