#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "lora/core/error.hpp"
#include "lora/core/gradients.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/printable.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/grouped_low_rank.hpp"
#include "lora/layers/adapter_routes.hpp"
#include "lora/layers/adapter_set.hpp"
#include "lora/layers/lora_adapter.hpp"

namespace lora {

/// What one layer adds to the rows of a mixed batch: the adapter of every group of the routes, as
/// the layer's set has them. Working memory of one call; the set and the routes outlive it.
template <class T, class Adapter = LoRAAdapter<T>>
class RoutedPaths {
 public:
  using Set = AdapterSet<Adapter>;
  using Entry = typename Set::Entry;
  using Layout = AdapterRoutes::Layout;
  using Path = grouped_low_rank::Path<T>;

  /// Finds the adapters. check(adapter) throws for one that the layer cannot compute with. Throws
  /// ConfigError, naming `where`, for a name that the set does not have, unless `may_lack`, and
  /// StateError where an adapter is active that the routes do not let be. While the adapters are
  /// switched off, nothing is added to any row, as in PEFT.
  template <class Where, class Check>
  RoutedPaths(const Set& set, const Layout& layout, bool may_lack, const Where& where,
              const Check& check)
      : layout_(layout), entries_(scratch_.template take<const Entry*>(size()), size_of(layout)) {
    for (std::size_t g = 0; g < entries_.size(); ++g) {
      const Entry* const entry = set.find(layout.names[g]);
      if (entry == nullptr && !may_lack) refuse(set, g, where);
      if (entry != nullptr) check(*entry->adapter);
      entries_[g] = set.enabled() ? entry : nullptr;
      if (entries_[g] != nullptr && layout.names[g] == active_adapters)
        require_may_be_active(*entry, layout, where);
      if (entries_[g] != nullptr) rank_ = std::max(rank_, entry->adapter->rank());
    }
  }
  RoutedPaths(const RoutedPaths&) = delete;
  RoutedPaths& operator=(const RoutedPaths&) = delete;

  [[nodiscard]] const RowGroups& groups() const { return layout_.groups; }

  /// Returns the largest rank of the adapters; 0 if nothing is added to any row.
  [[nodiscard]] Index rank() const { return rank_; }

  /// Returns the adapter of group g, or null.
  [[nodiscard]] const Entry* entry(std::size_t g) const { return entries_[g]; }

  /// Calls use(entry) with each adapter that is there, in the order of the groups.
  template <class Use>
  void for_each(const Use& use) const {
    for (const Entry* const entry : entries_)
      if (entry != nullptr) use(*entry);
  }

  /// Tells whether the A of an adapter that is there trains, so that its gradient needs x.
  [[nodiscard]] bool trains_a() const {
    bool trains = false;
    for_each([&](const Entry& entry) { trains = trains || !entry.adapter->config().freeze_a; });
    return trains;
  }

  /// Throws ConfigError, naming `where`, where two of the names are one adapter, as that of
  /// active_adapters may be: rows of both would train it at the same time.
  template <class Where>
  void require_distinct(const Where& where) const {
    for (std::size_t g = 0; g < entries_.size(); ++g)
      for (std::size_t h = 0; h < g; ++h)
        if (entries_[g] != nullptr && entries_[h] != nullptr &&
            entries_[g]->adapter == entries_[h]->adapter)
          throw ConfigError(message(where, ": ", in_quotes(layout_.names[h]), " and ",
                                    in_quotes(layout_.names[g]),
                                    " are one adapter: train it under one name"));
  }

  /// Makes the paths that kernels take: with the dropout masks of this step, if any, and with the
  /// gradients in `target`, if there is one. `factor` multiplies each scaling. Throws what
  /// GradientTarget::of throws.
  void make_paths(std::optional<std::uint64_t> mask_step, const GradientTarget<T>* target = nullptr,
                  double factor = 1) {
    Path* const paths = scratch_.template take<Path>(size());
    const MatrixRef<T> none(nullptr, 0, 0, 0);
    const ConstMatrixRef<T> nothing(nullptr, 0, 0, 0);
    for (std::size_t g = 0; g < entries_.size(); ++g) {
      const Entry* const entry = entries_[g];
      if (entry == nullptr) {
        std::construct_at(paths + g, Path{nothing, nothing, T(0), {}, none, none});
        continue;
      }
      const Adapter& adapter = *entry->adapter;
      std::optional<DropoutMask> mask;
      if constexpr (requires { adapter.dropout_mask(std::uint64_t{}); })
        if (mask_step) mask = adapter.dropout_mask(*mask_step);
      std::construct_at(
          paths + g,
          Path{adapter.a().value, adapter.b().value, static_cast<T>(entry->scaling() * factor),
               mask,
               target == nullptr || adapter.config().freeze_a ? none : target->of(adapter.a()),
               target == nullptr ? none : target->of(adapter.b())});
    }
    paths_ = paths;
    auto* const biases = scratch_.template take<MatrixRef<T>>(size());
    for (std::size_t g = 0; g < entries_.size(); ++g) std::construct_at(biases + g, none);
    if constexpr (may_have_b_bias)
      for (std::size_t g = 0; target != nullptr && g < entries_.size(); ++g)
        if (has_b_bias(g))
          std::construct_at(biases + g, target->of(entries_[g]->adapter->b_bias()));
    b_bias_gradients_ = biases;
  }

  /// Adds s b_B to the rows of y (N, out) whose adapter has lora_bias.
  void add_b_biases(MatrixRef<T> y) const {
    for_each_biased_row([&](std::size_t g, T s, Index row) {
      y.row(row) += s * entries_[g]->adapter->b_bias().value.row(0);
    });
  }

  /// Adds s times the sum of its rows of dy (N, out) to the gradient of each b_B that make_paths
  /// found.
  void add_b_bias_gradients(ConstMatrixRef<T> dy) const {
    for_each_biased_row(
        [&](std::size_t g, T s, Index row) { b_bias_gradients_[g].row(0) += s * dy.row(row); });
  }

  /// Returns what make_paths made.
  [[nodiscard]] grouped_low_rank::Paths<T> paths() const { return {paths_, entries_.size()}; }

  /// Throws StateError, naming `where`, unless a forward with these routes and the set `now` would
  /// compute what one with `then` did.
  template <class Where>
  static void require_same(const Set& then, const Set& now, const Layout& layout,
                           const Where& where) {
    if (&then == &now) return;
    const auto refuse = [&](const auto&... what) {
      throw StateError(message(where, ": ", what...,
                               ": backward needs the layer as it was in the forward on the tape"));
    };
    if (then.enabled() != now.enabled())
      refuse("the adapters were switched ", now.enabled() ? "on" : "off");
    for (const std::string& name : layout.names) {
      const Entry *const before = then.find(name), *const after = now.find(name);
      if (before == nullptr && after == nullptr) continue;
      if (before == nullptr) refuse("the adapter ", in_quotes(name), " was added");
      if (after == nullptr) refuse("the adapter ", in_quotes(name), " was deleted");
      if (before->adapter != after->adapter)
        refuse("the adapter ", in_quotes(name), " was replaced");
      if (before->scaling() != after->scaling())
        refuse("the scaling of ", in_quotes(name), " was ", before->scaling(), " and is ",
               after->scaling());
    }
  }

 private:
  static std::size_t size_of(const Layout& layout) { return layout.names.size(); }
  [[nodiscard]] Index size() const { return static_cast<Index>(size_of(layout_)); }

  // The rows of active_adapters are chosen by tokens that the model's own adapter was trained with.
  template <class Where>
  static void require_may_be_active(const Entry& entry, const Layout& layout, const Where& where) {
    if (!layout.only_active.empty() && entry.name != layout.only_active)
      throw StateError(
          message(where, ": the adapter ", in_quotes(entry.name), " is active, but only ",
                  in_quotes(layout.only_active),
                  " is invoked by alora_invocation_tokens; another would be cut short"));
  }

  static constexpr bool may_have_b_bias = requires(const Adapter& adapter) { adapter.b_bias(); };

  [[nodiscard]] bool has_b_bias(std::size_t group) const {
    return entries_[group] != nullptr && entries_[group]->adapter->config().lora_bias;
  }

  // Calls use(group, its scaling, row) for the rows whose adapter has lora_bias.
  template <class Use>
  void for_each_biased_row(const Use& use) const {
    for (std::size_t g = 0; g < entries_.size(); ++g) {
      if (!has_b_bias(g)) continue;
      const RowGroups::Run& run = groups().groups()[g];
      for (Index i = 0; i < run.count; ++i)
        use(g, static_cast<T>(entries_[g]->scaling()), groups().row(run.first + i));
    }
  }

  template <class Where>
  void refuse(const Set& set, std::size_t group, const Where& where) const {
    const RowGroups::Run& rows = groups().groups()[group];
    const Index row = rows.count > 0 ? groups().row(rows.first) : 0;
    throw ConfigError(message(where, ": row ", row, " is routed to an adapter called ",
                              in_quotes(layout_.names[group]), ", which the layer does not have",
                              set.empty() ? "" : ", only ", set.quoted_names()));
  }

  Scratch scratch_;
  const Layout& layout_;
  std::span<const Entry*> entries_;
  Path* paths_ = nullptr;
  MatrixRef<T>* b_bias_gradients_ = nullptr;
  Index rank_ = 0;
};

}  // namespace lora
