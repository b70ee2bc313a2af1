#pragma once

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "lora/core/printable.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/tape.hpp"
#include "lora/frozen/dense_weight.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/frozen/mapped_weight.hpp"
#include "lora/layers/lora_embedding.hpp"
#include "lora/layers/trainable_tokens.hpp"
#include "lora/models/common/end_storage.hpp"
#include "lora/models/common/module_embedding.hpp"
#include "lora/models/common/module_linear.hpp"
#include "lora/models/common/trainable_tokens_head.hpp"
#include "lora/nn/embedding.hpp"

namespace lora::models {

/// What a LanguageEnds is loaded from.
struct LanguageEndsNames {
  std::string embedding;                  ///< "model.embed_tokens"
  std::string head;                       ///< "lm_head"
  Index vocab_size = 0;                   ///< V
  Index features = 0;                     ///< D
  bool tied = false;                      ///< the head's weight is the embeddings'
  std::optional<Index> padding_idx = {};  ///< a token whose embedding gets no gradient
  bool has_copy = false;  ///< the head is tied by config.json, and the files have it as well
};

/// Resolves names whose `tied` is what config.json says: a head is not tied where the files have
/// one of its own, which transformers 5.24 loads too. Makes a tied one's weight known to `weights`
/// under the head's name. Throws FileError where the files have no head that the config asks for.
template <class T>
[[nodiscard]] LanguageEndsNames tied_ends(PretrainedWeights<T>& weights, LanguageEndsNames names) {
  const std::string head = names.head + ".weight";
  if (weights.contains(head)) {
    names.has_copy = names.tied;
    names.tied = false;
  } else if (names.tied) {
    weights.also_known_as(head, names.embedding + ".weight");
  } else {
    throw FileError(message(weights.path().string(), ": has no \"", head,
                            "\", and tie_word_embeddings is false: the head would be random"));
  }
  return names;
}

/// The two ends of a language model, embeddings (V, D) and head (V, D), which may be one matrix.
/// Where they are, one copy of it is held, unless one of the two is adapted or trains alone, as
/// PEFT's modules_to_save does: then they part, and the other stays as it is. (PEFT's merge of
/// adapted embeddings changes a head that is tied to them; here the head stays the base's.) Rows of
/// the embeddings that train are those of a head that is tied to them too, as in PEFT, unless the
/// head has others of its own.
template <class T, class Frozen>
class LanguageEnds {
  using Ends = EndStorage<Frozen>;

 public:
  /// Loads both. Throws FileError and ConfigError.
  LanguageEnds(ModelBuilder<T>& builder, const LanguageEndsNames& names)
      : vocab_size_(names.vocab_size), name_(names.embedding), head_(make_head(builder, names)) {
    if (names.padding_idx && *names.padding_idx >= 0 && *names.padding_idx < vocab_size_)
      padding_ = names.padding_idx;
    refuse_ensured_tying(builder, names);
    const std::string weight = names.embedding + ".weight";
    const ModuleRole embedding = builder.plan[names.embedding].role;
    const bool both_train = trains_together(builder, names);
    shared_ = both_train ||
              (names.tied && embedding == ModuleRole::frozen && RowReadableWeight<Ends, T> &&
               builder.plan[names.head].role == ModuleRole::frozen);
    if (!shared_) load_embedding(builder, names, embedding);
    take_tokens(builder, names);
  }

  /// Tells whether embeddings train, so that backward is to be called.
  [[nodiscard]] bool trains() const {
    return lora_ || tokens_ || table_.size() > 0 ||
           (shared_ && std::holds_alternative<Linear<T>>(head_));
  }

  /// Computes y (N, D), the embeddings of tokens that the caller has checked. Where they are
  /// adapted, a tape keeps what embed_backward needs, and with routes each token has its adapter.
  void embed(std::span<const int> ids, Tape<T>* tape, MatrixRef<T> y,
             const AdapterRoutes* routes = nullptr) const {
    if (lora_ && routes != nullptr)
      return tape == nullptr ? lora_->forward(ids, *routes, y)
                             : lora_->forward(ids, *routes, *tape, y);
    if (lora_) return tape == nullptr ? lora_->forward(ids, y) : lora_->forward(ids, *tape, y);
    for (std::size_t i = 0; i < ids.size(); ++i)
      copy_row(ids[i], y.data() + static_cast<Index>(i) * y.outerStride(), y.cols());
    if (tokens_) tokens_->forward(ids, y, OwnRows(routes).chosen());
  }

  /// Adds dy (N, D) to the gradients of the embeddings, which train. The routes are the forward's.
  void embed_backward(std::span<const int> ids, ConstMatrixRef<T> dy, Tape<T>& tape,
                      GradientTarget<T> target, const AdapterRoutes* routes = nullptr) const {
    if (lora_) return lora_->backward(ids, dy, tape, target);
    if (padding_ && std::find(ids.begin(), ids.end(), *padding_) != ids.end()) {
      Scratch scratch;
      MatrixRef<T> trains = scratch.matrix<T>(dy.rows(), dy.cols());
      trains = dy;
      for (std::size_t n = 0; n < ids.size(); ++n)
        if (ids[n] == *padding_) trains.row(static_cast<Index>(n)).setZero();
      return table_backward(ids, trains, target, routes);
    }
    table_backward(ids, dy, target, routes);
  }

  /// Calls use(head), a LoRALinear, one with rows that train, which has the routes of a mixed
  /// batch, or a Linear that trains.
  template <class Use>
  decltype(auto) with_head(const Use& use, const AdapterRoutes* routes = nullptr) const {
    if (const TrainableTokens<T>* rows = rows_of_head())
      return use(TrainableTokensHead<T, LoRALinear<T, Ends>>(std::get<LoRALinear<T, Ends>>(head_),
                                                             *rows, routes));
    return std::visit(use, head_);
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    if (!shared_) list.total += table_.size() + frozen_.size() + row_numbers();
    if (lora_) list_lora_embedding(*lora_, list);
    if (tokens_) list.add_tokens(*tokens_);
    if (head_tokens_) list.add_tokens(*head_tokens_);
    if (table_.size() > 0) list.add(table_);
    if (auto* lora = std::get_if<LoRALinear<T, Ends>>(&head_)) return list_lora_layer(*lora, list);
    auto& linear = std::get<Linear<T>>(head_);
    list.total += linear.total_parameters();
    for (Parameter<T>* parameter : linear.parameters()) list.add(*parameter);
  }

  /// Calls action(layer) with the embeddings and the head, where they have an adapter.
  template <class Action>
  void for_each_adapted(const Action& action) {
    if (lora_) action(*lora_);
    if (auto* lora = std::get_if<LoRALinear<T, Ends>>(&head_);
        lora != nullptr && lora->has_adapter())
      action(*lora);
  }

  /// Calls action(tokens) with the rows that train of the embeddings and of the head, those of a
  /// tied one once.
  template <class Action>
  void for_each_trainable_tokens(const Action& action) {
    if (tokens_) action(*tokens_);
    if (head_tokens_) action(*head_tokens_);
  }

 private:
  void table_backward(std::span<const int> ids, ConstMatrixRef<T> dy, GradientTarget<T> target,
                      const AdapterRoutes* routes) const {
    if (tokens_) return tokens_->backward(ids, dy, target, OwnRows(routes).chosen());
    const Parameter<T>& table = shared_ ? std::get<Linear<T>>(head_).weight() : table_;
    embedding_backward<T>(ids, dy, target.of(table));
  }

  using Head = std::variant<LoRALinear<T, Ends>, Linear<T>>;

  // Adapted embeddings lie in a copy of their own where adapters may be merged.
  static constexpr bool may_merge =
      MergeableWeight<Ends, T> && !std::same_as<Ends, MappedWeight<T>>;
  using AdaptedTable =
      std::conditional_t<looks_at_rows<Ends>, Ends,
                         std::conditional_t<may_merge, DenseWeight<T>, MappedWeight<T>>>;

  void load_embedding(ModelBuilder<T>& builder, const LanguageEndsNames& names,
                      ModuleRole embedding) {
    const std::string weight = names.embedding + ".weight";
    if (embedding == ModuleRole::adapted)
      lora_.emplace(make_lora_embedding<T, AdaptedTable>(builder, names.embedding, vocab_size_,
                                                         names.features, padding_));
    else if (embedding == ModuleRole::trained)
      table_ = Parameter<T>(weight, builder.weights.copy(weight, vocab_size_, names.features));
    else if constexpr (looks_at_rows<Ends>)
      rows_.emplace(builder.weights.template frozen<Ends>(weight, vocab_size_, names.features));
    else
      std::construct_at(&frozen_, builder.weights.matrix(weight, vocab_size_, names.features));
  }

  // Rows that train begin as those of the matrix that is there by now.
  void take_tokens(const ModelBuilder<T>& builder, const LanguageEndsNames& names) {
    const std::vector<int> embedding = builder.plan[names.embedding].trainable_tokens;
    const ModulePlan head = builder.plan[names.head];
    tokens_tied_ = names.tied && !embedding.empty() &&
                   (head.trainable_tokens.empty() || head.trainable_tokens == embedding);
    if (tokens_tied_ && head.role != ModuleRole::frozen)
      throw ConfigError(message("trainable_token_indices has rows of ", in_quotes(names.embedding),
                                ", to which ", in_quotes(names.head),
                                " is tied, expected that to be neither adapted nor trained as a "
                                "whole"));
    // PEFT gives the head these rows by what config.json says, whatever the head's numbers are.
    if (names.has_copy && !embedding.empty() && head.trainable_tokens.empty())
      throw ConfigError(message("trainable_token_indices has rows of ", in_quotes(names.embedding),
                                ", to which config.json ties ", in_quotes(names.head),
                                ", and the files have a weight of that too: name rows of both, or "
                                "set tie_word_embeddings to false or take that weight away"));
    if (!embedding.empty())
      tokens_.emplace(names.embedding, embedding, vocab_size_, names.features,
                      [&](Index row, T* to) { copy_row(row, to, names.features); });
    if (head.trainable_tokens.empty() || tokens_tied_) return;
    const ConstMatrixRef<T> weight =
        builder.weights.matrix(names.head + ".weight", vocab_size_, names.features);
    head_tokens_.emplace(
        names.head, head.trainable_tokens, vocab_size_, names.features, [&](Index row, T* to) {
          // The numbers that the head computes with, which may be rounded.
          if constexpr (RowReadableWeight<Ends, T>)
            std::get<LoRALinear<T, Ends>>(head_).weight().copy_row(row, to);
          else
            std::copy_n(weight.data() + row * weight.outerStride(), names.features, to);
        });
  }

  // Returns the rows that train of the head, where they are in use.
  [[nodiscard]] const TrainableTokens<T>* rows_of_head() const {
    const auto& rows = tokens_tied_ ? tokens_ : head_tokens_;
    return rows && rows->adapter_enabled() ? &*rows : nullptr;
  }

  // PEFT would go on with one matrix, or one adapter, for both. It looks for these names alone: of
  // GPT-2's embeddings, wte, it takes no notice.
  static void refuse_ensured_tying(const ModelBuilder<T>& builder, const LanguageEndsNames& names) {
    const auto& other = builder.plan.peft_config().other;
    const auto flag = other.find("ensure_weight_tying");
    if (!names.tied || flag == other.end() || flag->second != "true") return;
    for (const std::string& name : {names.embedding, names.head})
      if ((name.ends_with("embed_tokens") || name.ends_with("lm_head")) &&
          builder.plan[name].role != ModuleRole::frozen)
        throw ConfigError(message("ensure_weight_tying is true, and \"", name,
                                  "\" is to train: embeddings and head that are one matrix part "
                                  "there, and to keep them one is not built"));
  }

  // Under full fine-tuning tied weights train as one; modules_to_save makes a copy of each.
  static bool trains_together(const ModelBuilder<T>& builder, const LanguageEndsNames& names) {
    return names.tied && builder.plan[names.embedding].role == ModuleRole::trained &&
           builder.plan[names.head].role == ModuleRole::trained &&
           builder.plan.peft_config().modules_to_save.empty();
  }

  static Head make_head(ModelBuilder<T>& builder, const LanguageEndsNames& names) {
    const LinearSizes sizes{.out = names.vocab_size, .in = names.features, .bias = false};
    if (builder.plan[names.head].role != ModuleRole::trained)
      return make_lora_linear<T, Ends>(builder, names.head, sizes);
    Linear<T> linear = make_trained_linear<T>(builder, names.head, sizes);
    if (trains_together(builder, names)) linear.set_name(names.embedding);
    return linear;
  }

  [[nodiscard]] Index row_numbers() const {
    return rows_ ? rows_->out_features() * rows_->in_features() : 0;
  }

  void copy_row(Index id, T* to, Index features) const {
    if constexpr (looks_at_rows<Ends>)
      if (rows_) return rows_->copy_row(id, to);
    if (!shared_) {
      const ConstMatrixRef<T> table = table_.size() > 0 ? ConstMatrixRef<T>(table_.value) : frozen_;
      std::copy_n(table.data() + id * table.outerStride(), features, to);
    } else if (const auto* linear = std::get_if<Linear<T>>(&head_)) {
      std::copy_n(linear->weight().value.data() + id * features, features, to);
    } else if constexpr (RowReadableWeight<Ends, T>) {
      std::get<LoRALinear<T, Ends>>(head_).weight().copy_row(id, to);
    }
  }

  Index vocab_size_;
  std::string name_;
  Head head_;
  std::optional<Index> padding_;                        // gets no gradient
  bool shared_ = false;                                 // embeddings are the head's weight
  Parameter<T> table_;                                  // or train by themselves,
  ConstMatrixRef<T> frozen_{nullptr, 0, 0, 0};          // or lie in the files as T,
  std::optional<Ends> rows_;                            // or as other numbers,
  std::optional<LoRAEmbedding<T, AdaptedTable>> lora_;  // or are adapted
  std::optional<TrainableTokens<T>> tokens_;            // rows of the embeddings that train,
  bool tokens_tied_ = false;                            // the head's too,
  std::optional<TrainableTokens<T>> head_tokens_;       // which may have its own
};

}  // namespace lora::models
