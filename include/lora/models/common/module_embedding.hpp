#pragma once

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
#include "lora/models/common/model_builder.hpp"
#include "lora/models/common/model_parameters.hpp"
#include "lora/models/common/module_linear.hpp"
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
/// of type T; with an adapter, over a copy of its own; or trained as a whole, as its plan says.
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
  }

  /// Returns the table, without an adapter's update.
  [[nodiscard]] ConstMatrixRef<T> values() const {
    if (lora_) return lora_->weight().matrix();
    return table_.size() > 0 ? ConstMatrixRef<T>(table_.value) : frozen_;
  }

  [[nodiscard]] bool is_adapted() const { return lora_.has_value(); }

  /// Tells whether anything trains, so that backward is to be called.
  [[nodiscard]] bool trains() const { return lora_ || table_.size() > 0; }

  /// Computes y (N, features) for ids; with a tape, which only an adapted one needs, it keeps there
  /// what backward needs. With routes each id has its adapter. Throws ShapeError for an id that is
  /// no entry.
  void forward(std::span<const int> ids, Tape<T>* tape, MatrixRef<T> y,
               const AdapterRoutes* routes = nullptr) const {
    if (!lora_) return embedding<T>({EmbeddingLookup<T>{values(), ids}}, y);
    if (routes != nullptr)
      return tape == nullptr ? lora_->forward(ids, *routes, y)
                             : lora_->forward(ids, *routes, *tape, y);
    tape == nullptr ? lora_->forward(ids, y) : lora_->forward(ids, *tape, y);
  }

  /// Adds to the gradients of what trains, which there must be.
  void backward(std::span<const int> ids, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> target) const {
    if (lora_) return lora_->backward(ids, dy, tape, target);
    MatrixRef<T> dtable = target.of(table_);
    const auto fixed = entry_of(padding_, dtable.rows());
    Scratch scratch;
    MatrixRef<T> before = scratch.matrix<T>(1, dy.cols());
    if (fixed) before = dtable.row(*fixed);
    embedding_backward<T>(ids, dy, dtable);
    if (fixed) dtable.row(*fixed) = before;
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    if (lora_) return list_lora_embedding(*lora_, list);
    list.total += values().size();
    if (trains()) list.add(table_);
  }

  /// Calls action(layer) with the LoRAEmbedding, if there is one.
  template <class Action>
  void for_each_adapted(const Action& action) {
    if (lora_) action(*lora_);
  }

 private:
  // A config may name an entry that the table does not have.
  static std::optional<Index> entry_of(std::optional<Index> padding, Index entries) {
    return padding && *padding >= 0 && *padding < entries ? padding : std::nullopt;
  }

  std::optional<Index> padding_;
  std::optional<LoRAEmbedding<T>> lora_;        // if it is adapted,
  Parameter<T> table_;                          // or trains,
  ConstMatrixRef<T> frozen_{nullptr, 0, 0, 0};  // or lies in the files
};

}  // namespace lora::models
