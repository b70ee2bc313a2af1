#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lora/adapters/stacked_adapter.hpp"
#include "lora/core/error.hpp"
#include "lora/core/number_checks.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/place.hpp"
#include "lora/core/printable.hpp"
#include "lora/layers/adapter_routes.hpp"
#include "lora/layers/adapter_set.hpp"
#include "lora/layers/adapter_snapshot.hpp"
#include "lora/layers/lora_adapter.hpp"
#include "lora/layers/lora_embedding_adapter.hpp"

namespace lora {

/// The adapters of a whole model by name: each is added to all of its layers at once, or to none.
///
///     AdapterRegistry<float> registry;
///     model.for_each_adapted([&](auto& layer) { registry.manage(layer); });
///     peft::add_adapter(registry, "french", "adapters/french");
///
///     AdapterRoutes routes({"french", "__base__"}, lengths);  // for each batch
///     registry.bind(routes);
///     model.forward(batch, routes, hidden);
///
/// A batch whose routes are bound computes with the adapters of that moment in all layers, whatever
/// changes while it runs, and keeps them alive; what is deleted is freed when the last such batch
/// and its routes are gone.
///
/// **Which calls may run at once.** All but `manage`, which comes before the others. Each change is
/// seen as a whole or not at all by `bind` and `snapshot`; a forward without routes looks at one
/// layer after the other and may see half of a change. The layers outlive the registry and stay
/// where they are; while other threads use it, nothing else adds or deletes their adapters. A
/// change that throws leaves all layers as they were.
///
/// A model of aLoRA keeps its own adapter, "default", and one with rows of trainable_token_indices
/// has no other active: what would change that throws StateError, naming the layer.
template <class T>
class AdapterRegistry {
 public:
  using Scalar = T;

  /// What one adapter has for one layer: a linear layer or a convolution, or an embedding.
  using Module = std::variant<LoRAAdapter<T>, LoRAEmbeddingAdapter<T>>;

  /// What one adapter has for each layer, by the layer's name.
  using Modules = std::map<std::string, Module>;

  /// An adapter's name, and what its update is multiplied by.
  struct Weighted {
    std::string name;
    double weight = 1;
  };

  AdapterRegistry() = default;
  AdapterRegistry(const AdapterRegistry&) = delete;
  AdapterRegistry& operator=(const AdapterRegistry&) = delete;

  /// Takes a layer in with the adapters that it has: a LoRALinear, a convolution or a
  /// LoRAEmbedding. Throws ConfigError for a layer without a name or with the name of another, and
  /// for one with an adapter that holds a part of the weight (of PiSSA, OLoRA ...), without which
  /// the layer would not be its base.
  template <class Layer>
  void manage(Layer& layer) {
    const std::unique_lock lock(mutex_);
    if (layer.name().empty())
      throw ConfigError("AdapterRegistry::manage: the layer has no name: set_name gives it one");
    if (find(layer.name()) != nullptr)
      throw ConfigError(message("AdapterRegistry::manage: there are two layers called ",
                                in_quotes(layer.name())));
    const auto own = layer.adapters();
    for (const auto& entry : own->entries())
      if (const LoRAInit init = entry.adapter->config().init; changes_base(init))
        throw ConfigError(message(Place{"AdapterRegistry::manage", layer.name()}, ": the adapter ",
                                  in_quotes(entry.name), " began with ", name_of(init),
                                  ": a part of the weight is in it, and the layer needs it"));
    parts_.push_back({&layer, layer.name(), shared_set_of<Layer>, set_of<Layer>, has_of<Layer>,
                      add_of<Layer>, merged_of<Layer>, publish_of<Layer>, parameters_of<Layer>});
    snapshot_ = nullptr;
  }

  /// Lists the names of all adapters, sorted.
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names = snapshot()->names();
    std::erase_if(names, [](const std::string& name) { return is_reserved(name); });
    return names;
  }

  /// Tells whether a layer has an adapter called `name`.
  [[nodiscard]] bool has(std::string_view name) const {
    return !is_reserved(name) && snapshot()->has(name);
  }

  /// Adds an adapter to the layers that `modules` names. It does not become active. Throws
  /// ConfigError for a name that is empty, taken or reserved ("__base__", "__active__"), if there
  /// are no modules, and for one that is no layer of the registry or one of another kind;
  /// ShapeError, naming the layer, for factors that do not fit; StateError while a layer is merged,
  /// and for an adapter of a changed weight.
  void add(const std::string& name, Modules modules) {
    const std::unique_lock lock(mutex_);
    require_free(name, "AdapterRegistry::add");
    commit(with(name, std::move(modules), current(), "AdapterRegistry::add"));
  }

  /// Puts other values in the place of the adapter called `name`, as after training: batches that
  /// are bound already go on with the old. Throws as `add`, and ConfigError if there is none.
  void replace(const std::string& name, Modules modules) {
    const std::unique_lock lock(mutex_);
    std::vector<AnySet> sets = current();
    require_there(sets, name, "AdapterRegistry::replace");
    const auto active = take_out(sets, name);
    sets = with(name, std::move(modules), std::move(sets), "AdapterRegistry::replace");
    for (std::size_t i = 0; i < sets.size(); ++i)
      std::visit(
          [&](auto& set) {
            if (!active[i] || set.find(name) == nullptr) return;
            set.activate(name, "AdapterRegistry::replace");
            set.set_factor(*active[i]);
          },
          sets[i]);
    commit(std::move(sets));
  }

  /// Deletes the adapter called `name`; where it was active, none is. Throws ConfigError if there
  /// is none, StateError while a layer is merged.
  void remove(const std::string& name) {
    const std::unique_lock lock(mutex_);
    std::vector<AnySet> sets = current();
    require_there(sets, name, "AdapterRegistry::remove");
    take_out(sets, name);
    commit(std::move(sets));
  }

  /// Makes the adapter called `name` the active one in every layer: forwards without routes compute
  /// with it, and so do rows that are routed to active_adapters. Layers that do not have it compute
  /// their frozen weights. Throws ConfigError if there is none, StateError while a layer is merged.
  void activate(const std::string& name) { activate(std::vector<Weighted>{{name, 1}}); }

  /// Makes several active at once: layers add sum_i weight_i s_i B_i A_i. Unless it is one adapter
  /// of weight 1, their values at this moment are copied into one adapter that has their ranks
  /// together; that one is to serve, not to train. Throws as above, and ConfigError for a name that
  /// comes twice, a weight that is not finite, and an adapter with use_dora or lora_bias among
  /// several or with a weight other than 1.
  void activate(const std::vector<Weighted>& several) {
    const std::unique_lock lock(mutex_);
    constexpr const char* where = "AdapterRegistry::activate";
    std::vector<AnySet> sets = current();
    for (std::size_t i = 0; i < several.size(); ++i) {
      require_there(sets, several[i].name, where);
      require_finite(several[i].weight, where, "weight");
      for (std::size_t j = 0; j < i; ++j)
        if (several[i].name == several[j].name)
          throw ConfigError(message(where, ": ", in_quotes(several[i].name), " comes twice"));
    }
    for (std::size_t i = 0; i < sets.size(); ++i)
      std::visit([&](auto& set) { activate_in(set, several, parts_[i].name, where); }, sets[i]);
    commit(std::move(sets));
  }

  /// Lets no adapter be active. Throws StateError while a layer is merged.
  void deactivate() { activate(std::vector<Weighted>{}); }

  /// Lists what trains in mixed batches that are routed to the adapter called `name`: its factors
  /// (with DoRA and lora_bias, what they add) in every layer that has it, and the biases that
  /// train. Rows of trainable_token_indices are not a layer's: the model's parameters() lists them
  /// and what trains as a whole. Throws ConfigError if no layer has it.
  [[nodiscard]] ParameterList<T> parameters(const std::string& name) const {
    const std::shared_lock lock(mutex_);
    ParameterList<T> all;
    for (const Part& part : parts_)
      if (!is_reserved(name) && part.has(part.layer, name))
        all.add(part.parameters(part.layer, name));
    if (all.empty())
      throw ConfigError(
          message("AdapterRegistry::parameters: there is no adapter called ", in_quotes(name)));
    return all;
  }

  /// Returns the adapters of all layers as they are now; the same object until something changes.
  [[nodiscard]] std::shared_ptr<const AdapterSnapshot> snapshot() const {
    {
      const std::shared_lock lock(mutex_);
      if (snapshot_ != nullptr && is_current()) return snapshot_;
    }
    const std::unique_lock lock(mutex_);
    std::vector<AnyShared> sets;
    for (const Part& part : parts_) sets.push_back(part.adapters(part.layer));
    seen_ = sets;
    snapshot_ = make_snapshot(sets);
    return snapshot_;
  }

  /// Lets `routes` compute with the adapters as they are now. Throws ConfigError for a name that no
  /// layer has, for example of an adapter that was removed.
  void bind(AdapterRoutes& routes) const { routes.bind(snapshot()); }

 private:
  template <class Adapter>
  using SharedSet = std::shared_ptr<const AdapterSet<Adapter>>;
  using AnySet = std::variant<AdapterSet<LoRAAdapter<T>>, AdapterSet<LoRAEmbeddingAdapter<T>>>;
  using AnyShared = std::variant<SharedSet<LoRAAdapter<T>>, SharedSet<LoRAEmbeddingAdapter<T>>>;

  static constexpr const char* combined = "__combined__";

  // A layer of any kind.
  struct Part {
    void* layer;
    std::string name;
    AnyShared (*adapters)(const void*);
    AnySet (*set)(const void*);
    bool (*has)(const void*, std::string_view);
    void (*add)(const void*, AnySet&, const std::string&, Module&&, const char*);
    bool (*merged)(const void*);
    void (*publish)(void*, AnyShared);
    ParameterList<T> (*parameters)(void*, const std::string&);
  };

  template <class Layer>
  static AnyShared shared_set_of(const void* self) {
    return static_cast<const Layer*>(self)->adapters();
  }

  template <class Layer>
  static AnySet set_of(const void* self) {
    return *static_cast<const Layer*>(self)->adapters();
  }

  template <class Layer>
  static bool has_of(const void* self, std::string_view name) {
    return static_cast<const Layer*>(self)->adapters()->find(name) != nullptr;
  }

  // Adds a module to a set of the layer's. Throws what is wrong with it.
  template <class Layer>
  static void add_of(const void* self, AnySet& any, const std::string& name, Module&& module,
                     const char* where) {
    using Adapter = typename Layer::Adapter;
    const Layer& layer = *static_cast<const Layer*>(self);
    auto* const adapter = std::get_if<Adapter>(&module);
    if (adapter == nullptr)
      throw ConfigError(message(where, ": what the adapter ", in_quotes(name), " has for ",
                                in_quotes(layer.name()), " is not of the kind that a ", Layer::kind,
                                " has"));
    layer.check_add(*adapter);
    layer.prepare(*adapter);
    auto& set = std::get<AdapterSet<Adapter>>(any);
    const bool had_none = set.empty();
    set.add(name, std::make_shared<Adapter>(std::move(*adapter)), where);
    if (had_none) set.deactivate();
  }

  template <class Layer>
  static bool merged_of(const void* self) {
    return static_cast<const Layer*>(self)->merged();
  }

  template <class Layer>
  static void publish_of(void* self, AnyShared set) {
    static_cast<Layer*>(self)->publish(
        std::get<SharedSet<typename Layer::Adapter>>(std::move(set)));
  }

  template <class Layer>
  static ParameterList<T> parameters_of(void* self, const std::string& name) {
    return static_cast<Layer*>(self)->parameters({name});
  }

  // Makes the sum of several adapters the active one of a layer's set.
  template <class Adapter>
  static void activate_in(AdapterSet<Adapter>& set, const std::vector<Weighted>& several,
                          const std::string& layer, const char* where) {
    if (set.find(combined) != nullptr) set.remove(combined, where);
    set.deactivate();
    if (several.size() == 1 && several.front().weight == 1) {
      const std::string& name = several.front().name;
      if (set.find(name) != nullptr) set.activate(name, where);
      return;
    }
    StackedAdapter<T, Adapter> stack;
    for (const Weighted& each : several)
      if (const auto* entry = set.find(each.name)) {
        if (entry->adapter->config().use_dora)
          throw ConfigError(message(where, ": ", in_quotes(each.name), " of ", in_quotes(layer),
                                    " has use_dora, whose updates are not summed"));
        if (entry->adapter->config().lora_bias)
          throw ConfigError(message(where, ": ", in_quotes(each.name), " of ", in_quotes(layer),
                                    " has lora_bias, which is not summed"));
        stack.add(*entry->adapter, each.weight * entry->own_scaling());
      }
    if (stack.empty()) return;
    Adapter adapter = std::move(stack).adapter();
    adapter.set_name(layer);
    set.add(combined, std::make_shared<Adapter>(std::move(adapter)), where);
    set.activate(combined, where);
  }

  static bool is_reserved(std::string_view name) {
    return name == combined || name == active_adapters || name == base_adapter;
  }

  [[nodiscard]] const Part* find(std::string_view name) const {
    for (const Part& part : parts_)
      if (part.name == name) return &part;
    return nullptr;
  }

  [[nodiscard]] std::vector<AnySet> current() const {
    std::vector<AnySet> sets;
    for (const Part& part : parts_) {
      if (part.merged(part.layer))
        throw StateError(message(part.name,
                                 " (AdapterRegistry): the adapter is merged into the "
                                 "weight: unmerge() first"));
      sets.push_back(part.set(part.layer));
    }
    return sets;
  }

  void require_free(const std::string& name, const char* where) const {
    if (name.empty() || is_reserved(name))
      throw ConfigError(message(where, ": an adapter cannot be called ", in_quotes(name)));
    for (const Part& part : parts_)
      if (part.has(part.layer, name))
        throw ConfigError(message(where, ": there is an adapter called ", in_quotes(name),
                                  " already: replace() puts another in its place"));
  }

  static void require_there(const std::vector<AnySet>& sets, const std::string& name,
                            const char* where) {
    if (!is_reserved(name))
      for (const AnySet& any : sets)
        if (std::visit([&](const auto& set) { return set.find(name) != nullptr; }, any)) return;
    throw ConfigError(message(where, ": there is no adapter called ", in_quotes(name)));
  }

  // Returns in which sets it was active, and set_scale's factor there.
  static std::vector<std::optional<double>> take_out(std::vector<AnySet>& sets,
                                                     const std::string& name) {
    std::vector<std::optional<double>> was_active;
    for (AnySet& any : sets)
      std::visit(
          [&](auto& set) {
            const auto* const active = set.active();
            was_active.push_back(active != nullptr && active->name == name
                                     ? std::optional<double>(active->factor)
                                     : std::nullopt);
            if (set.find(name) != nullptr) set.remove(name, "AdapterRegistry");
          },
          any);
    return was_active;
  }

  [[nodiscard]] std::vector<AnySet> with(const std::string& name, Modules modules,
                                         std::vector<AnySet> sets, const char* where) const {
    if (modules.empty())
      throw ConfigError(message(where, ": the adapter ", in_quotes(name), " has no modules"));
    for (auto& [module, adapter] : modules) {
      const Part* const part = find(module);
      if (part == nullptr)
        throw ConfigError(message(where, ": the adapter ", in_quotes(name), " has factors for ",
                                  in_quotes(module), ", which is no layer of the registry"));
      AnySet& set = sets[static_cast<std::size_t>(part - parts_.data())];
      part->add(part->layer, set, name, std::move(adapter), where);
    }
    return sets;
  }

  // Throws StateError where a layer's model is built around an adapter that `sets` lack.
  void require_ties(const std::vector<AnySet>& sets) const {
    for (std::size_t i = 0; i < sets.size(); ++i)
      std::visit(
          [&]<class Adapter>(const AdapterSet<Adapter>& set) {
            const auto before = parts_[i].adapters(parts_[i].layer);
            set.require_tie(*std::get<SharedSet<Adapter>>(before),
                            Place{"AdapterRegistry", parts_[i].name});
          },
          sets[i]);
  }

  // Everything is made before the first layer changes; then nothing throws.
  void commit(std::vector<AnySet> sets) {
    require_ties(sets);
    std::vector<AnyShared> next;
    for (AnySet& any : sets)
      std::visit(
          [&]<class Adapter>(AdapterSet<Adapter>& set) {
            next.emplace_back(std::make_shared<const AdapterSet<Adapter>>(std::move(set)));
          },
          any);
    auto snapshot = make_snapshot(next);
    auto seen = next;
    for (std::size_t i = 0; i < next.size(); ++i)
      parts_[i].publish(parts_[i].layer, std::move(next[i]));
    seen_.swap(seen);
    snapshot_.swap(snapshot);
  }

  [[nodiscard]] std::shared_ptr<const AdapterSnapshot> make_snapshot(
      const std::vector<AnyShared>& sets) const {
    auto snapshot = std::make_shared<AdapterSnapshot>();
    for (std::size_t i = 0; i < parts_.size(); ++i)
      std::visit(
          [&](const auto& set) {
            snapshot->add(parts_[i].layer, set);
            for (const auto& entry : set->entries()) snapshot->add_name(entry.name);
          },
          sets[i]);
    snapshot->add_name(active_adapters);
    snapshot->finish();
    return snapshot;
  }

  // Tells whether the layers are as the snapshot has them: their own verbs may have changed them.
  [[nodiscard]] bool is_current() const {
    for (std::size_t i = 0; i < parts_.size(); ++i)
      if (parts_[i].adapters(parts_[i].layer) != seen_[i]) return false;
    return true;
  }

  mutable std::shared_mutex mutex_;
  std::vector<Part> parts_;
  mutable std::vector<AnyShared> seen_;  // of the snapshot
  mutable std::shared_ptr<const AdapterSnapshot> snapshot_;
};

}  // namespace lora
