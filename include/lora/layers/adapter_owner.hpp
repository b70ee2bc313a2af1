#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/core/number_checks.hpp"
#include "lora/core/place.hpp"
#include "lora/core/published.hpp"
#include "lora/layers/adapter_routes.hpp"
#include "lora/layers/adapter_set.hpp"
#include "lora/layers/lora_config.hpp"

namespace lora {

/// The name that PEFT gives to an adapter for which nobody chose one.
inline constexpr const char* default_adapter = "default";

/// The part that LoRA layers of every kind have in common: a name, and a set of adapters by name,
/// with PEFT's verbs. None, one or many may be there; one of them is active, or none.
///
/// **Which calls may run at once.** Const members of the layer, forward first of all, and the verbs
/// that change the set (add_adapter, set_adapter, unset_adapter, delete_adapter, replace_adapter,
/// enable_adapter, disable_adapter, set_scale): a forward computes with the adapters as they were
/// before the change or after it, never with a mixture, and what it uses stays until it is done. So
/// a server may swap adapters under load. Everything else that is not const (merging, set_name, an
/// optimizer's step on an adapter that others compute with) needs the layer for itself. References
/// to an adapter and its parameters live until it is replaced or deleted; `adapters()` keeps what
/// it returns alive.
///
/// `Layer` derives from this. It has `kind`, its class's name for messages; merged();
/// check_adapter(config, where), which throws where such settings do not fit; check_shape(adapter,
/// where); complete(adapter), which gives one that fits what it lacks; make_adapter(config, seed);
/// and name_others(), which names what else it has.
template <class Layer, class Adapter>
class AdapterOwner {
 public:
  using Set = AdapterSet<Adapter>;

  /// Returns the layer's path in the model, as PEFT has it, or an empty name.
  [[nodiscard]] const std::string& name() const { return name_; }

  /// Names the layer by its path in the model, as PEFT does; parameters, files, messages and
  /// dropout masks use it.
  void set_name(std::string name) {
    adapters_.update([&](Set& set) {
      set.for_each([&](Adapter& adapter) { adapter.set_name(name); });
      name_ = std::move(name);
      layer().name_others(!set.empty());
    });
  }

  // ---- The set ----

  /// Returns the adapters as they are now, for whoever reads while others change them.
  [[nodiscard]] std::shared_ptr<const Set> adapters() const { return adapters_.get(); }

  /// Lists the names of the adapters in the order in which they were added.
  [[nodiscard]] std::vector<std::string> adapter_names() const {
    std::vector<std::string> names;
    const auto set = adapters();  // keeps the entries while the loop reads them
    for (const auto& entry : set->entries()) names.push_back(entry.name);
    return names;
  }

  /// Returns the name of the active adapter, if there is one.
  [[nodiscard]] std::optional<std::string> active_adapter() const {
    const auto set = adapters();
    if (set->active() == nullptr) return {};
    return set->active()->name;
  }

  /// Tells whether an adapter is active, switched on or not.
  [[nodiscard]] bool has_adapter() const { return adapters()->active() != nullptr; }

  /// Adds a new adapter drawn from `seed`. The first adapter of a layer becomes the active one;
  /// later ones wait for set_adapter. Throws ConfigError for settings out of range and a name that
  /// is empty, taken or reserved for routes; StateError while merged, and where an adapter of the
  /// layer, or this one, began with part of the weight (see LoRAInit).
  void add_adapter(std::string name, const LoRAConfig& config, std::uint64_t seed) {
    const std::string where = at("add_adapter");
    layer().check_adapter(config, where);
    add(std::move(name), layer().make_adapter(config, seed), where);
  }

  /// Adds an adapter that is there already, as one that was read from a file. Throws ShapeError if
  /// it does not fit the weight, and as above.
  void add_adapter(std::string name, Adapter adapter) {
    const std::string where = at("add_adapter");
    layer().check_adapter(adapter.config(), where);
    layer().check_shape(adapter, where);
    add(std::move(name), std::move(adapter), where);
  }

  /// Makes the adapter called `name` the active one. Throws ConfigError if there is none,
  /// StateError while merged.
  void set_adapter(std::string_view name) {
    change("set_adapter", [&](Set& set, const std::string& where) { set.activate(name, where); });
  }

  /// Lets no adapter be active: the layer computes what its frozen weight does. Throws StateError
  /// while merged and for an adapter that began with part of the weight (see LoRAInit), without
  /// which the layer is not what it was.
  void unset_adapter() {
    change("unset_adapter", [](Set& set, const std::string& where) {
      require_whole_weight(set, where);
      set.deactivate();
    });
  }

  /// Deletes the adapter called `name`. If it was the active one, none is active afterwards (PEFT
  /// would choose another). Throws ConfigError if there is none, StateError as unset_adapter does.
  void delete_adapter(std::string_view name) {
    change("delete_adapter", [&](Set& set, const std::string& where) {
      require_whole_weight(set, where);
      set.remove(name, where);
      set.require_tie(where);
      layer().name_others(!set.empty());
    });
  }

  /// Switches the active adapter on (as it is from the start). Throws StateError while merged.
  void enable_adapter() {
    change("enable_adapter", [](Set& set, const std::string&) { set.set_enabled(true); });
  }

  /// Switches the active adapter off: the layer is its frozen weight. Throws StateError as
  /// unset_adapter does.
  void disable_adapter() {
    change("disable_adapter", [](Set& set, const std::string& where) {
      require_whole_weight(set, where);
      set.set_enabled(false);
    });
  }

  [[nodiscard]] bool adapter_enabled() const { return adapters()->enabled(); }

  /// Sets the active adapter's scaling to `factor` times alpha / rank (PEFT's set_scale): 0
  /// silences it, 1 is as trained. (A LoRAMultiheadAttention's out_proj has a factor beside it.)
  /// Throws ConfigError for a factor that is not finite, StateError while merged, without an active
  /// adapter, and, unless the factor is 1, as unset_adapter does.
  void set_scale(double factor) {
    change("set_scale", [&](Set& set, const std::string& where) {
      require_finite(factor, where, "factor");
      static_cast<void>(require_active(set, where));
      if (factor != 1) require_whole_weight(set, where);
      set.set_factor(factor);
    });
  }

  /// Replaces the active adapter by `adapter`, under the same name and with the factor of
  /// set_scale: what loading does; the rank may change. Throws ConfigError, ShapeError, and
  /// StateError while merged, without an active adapter, and unless both adapters began with the
  /// same part of the weight (see LoRAInit) or both with none; then nothing has changed.
  void replace_adapter(Adapter adapter) {
    change("replace_adapter", [&](Set& set, const std::string& where) {
      require_same_weight(require_active(set, where).adapter->config(), adapter.config(), where);
      put(set, std::move(adapter), where);
    });
  }

  /// Throws what replace_adapter throws for `config` when the factors have the right shapes.
  void check_replace(const LoRAConfig& config) const {
    const std::string where = at("replace_adapter");
    require_unmerged(where);
    const auto set = adapters();
    require_same_weight(require_active(*set, where).adapter->config(), config, where);
    if (set->entries().size() > 1) require_own_bias(config, where);
    layer().check_adapter(config, where);
  }

  /// Lets the adapter called `name` be the one that the layer's model is built around, for
  /// `reason`; see AdapterSet::tie. From then on the verbs that would part them, and a registry's,
  /// throw StateError; replace_adapter, which loads another's values, does not. Throws StateError
  /// where the adapters are not so now.
  void tie_adapter(const std::string& name, const std::string& reason, bool always_active) {
    const std::string where = at("tie_adapter");
    adapters_.update([&](Set& set) {
      set.tie(name, reason, always_active);
      set.require_tie(where);
    });
  }

  // ---- For whoever changes several layers at once: see AdapterRegistry ----

  /// Throws what add_adapter would throw for `adapter` under a name that is free.
  void check_add(const Adapter& adapter) const {
    const std::string where = at("add_adapter");
    require_unmerged(where);
    layer().check_adapter(adapter.config(), where);
    layer().check_shape(adapter, where);
    if (!adapters()->empty()) require_own_bias(adapter.config(), where);
    refuse_changed_weight(adapter.config().init, where);
  }

  /// Throws what add_adapter(name, config, seed) would throw.
  void check_add(const std::string& name, const LoRAConfig& config) const {
    const std::string where = at("add_adapter");
    layer().check_adapter(config, where);
    require_unmerged(where);
    Set set = *adapters();
    require_free(set, config, where);
    set.add(name, nullptr, where);
  }

  /// Throws what set_adapter would throw.
  void check_set(std::string_view name) const {
    const std::string where = at("set_adapter");
    require_unmerged(where);
    static_cast<void>(adapters()->at(name, where));
  }

  /// Names an adapter that passed check_add as add_adapter would, and gives it what it lacks.
  void prepare(Adapter& adapter) const {
    adapter.set_name(name_);
    layer().complete(adapter);
  }

  /// Replaces the whole set by one that was made from adapters(), whose new adapters passed
  /// check_add. No other thread changes it meanwhile.
  void publish(std::shared_ptr<const Set> set) {
    const bool empty = set->empty();
    adapters_.replace(std::move(set));
    layer().name_others(!empty);
  }

  // ---- The active adapter ----

  /// Returns the active adapter. Throws StateError if there is none.
  [[nodiscard]] const Adapter& adapter() const { return *active("adapter"); }

  /// Returns the settings of the active adapter. Throws StateError if there is none.
  [[nodiscard]] const LoRAConfig& config() const { return active("config")->config(); }

  /// Returns the rank of the active adapter. Throws StateError if there is none.
  [[nodiscard]] auto rank() const { return active("rank")->rank(); }

  /// Returns the factor s of the active adapter as it is now. Throws StateError if there is none.
  [[nodiscard]] double scaling() const {
    const auto set = adapters();
    return require_active(*set, Place{Layer::kind, name_}).scaling();
  }

 protected:
  /// Begins without an adapter.
  AdapterOwner() : adapters_(Set{}) {}

  /// Begins with an adapter called "default".
  explicit AdapterOwner(Adapter adapter) : AdapterOwner() {
    adapters_.update([&](Set& set) {
      set.add(default_adapter, std::make_shared<Adapter>(std::move(adapter)), Layer::kind);
    });
  }

  /// Copies the adapters too; the copies are parameters of their own.
  AdapterOwner(const AdapterOwner& other)
      : name_(other.name_), adapters_(other.adapters()->clone()) {}
  AdapterOwner(AdapterOwner&&) noexcept = default;
  ~AdapterOwner() = default;

  AdapterOwner& operator=(const AdapterOwner& other) {
    if (this != &other) *this = AdapterOwner(other);
    return *this;
  }
  AdapterOwner& operator=(AdapterOwner&& other) noexcept {
    name_ = std::move(other.name_);
    adapters_ = std::move(other.adapters_);
    return *this;
  }

  /// Multiplies the scaling of every adapter, those to come too, by `factor`, beside set_scale's: a
  /// layer's own. Throws ConfigError for one that is not finite, StateError while merged and,
  /// unless it is 1, as unset_adapter does.
  void set_layer_factor(double factor) {
    change("set_layer_factor", [&](Set& set, const std::string& where) {
      require_finite(factor, where, "factor");
      if (factor != 1) require_whole_weight(set, where);
      set.set_layer_factor(factor);
    });
  }

  /// Returns the active adapter to change it. Throws StateError if there is none.
  [[nodiscard]] Adapter& own_adapter(const char* verb) {
    // The layer is not const and made the adapter, which is const to all who only share it.
    return const_cast<Adapter&>(*active(verb));
  }

  /// Does what replace_adapter does for an adapter whose part of the weight was just taken out.
  void replace_with_weight(Adapter adapter) {
    change("replace_adapter", [&](Set& set, const std::string& where) {
      static_cast<void>(require_active(set, where));
      put(set, std::move(adapter), where);
    });
  }

  /// Throws StateError, naming `where`, if an adapter holds a part of the weight: without that the
  /// layer would not compute what its base does.
  template <class Where>
  static void require_whole_weight(const Set& set, const Where& where) {
    for (const auto& entry : set.entries())
      if (const LoRAInit init = entry.adapter->config().init; changes_base(init))
        throw StateError(message(where, ": the adapter began with ", name_of(init),
                                 ": a part of the weight is in it, and the layer needs it"));
  }

  /// Throws StateError, naming `where`, while merged.
  template <class Where>
  void require_unmerged(const Where& where) const {
    if (layer().merged())
      throw StateError(message(where, ": the adapter is merged into the weight: unmerge() first"));
  }

  /// Returns the set that a mixed batch computes with: that of the snapshot, if the routes have
  /// one. Throws StateError, naming `where`, for a snapshot of other layers, while merged, and for
  /// an adapter that holds a part of the weight.
  template <class Where>
  [[nodiscard]] std::shared_ptr<const Set> routed_set(const AdapterRoutes& routes,
                                                      const Where& where) const {
    if (layer().merged())
      throw StateError(message(where,
                               ": an adapter is merged into the weight, which all rows would "
                               "compute with: unmerge() first"));
    auto own = adapters();
    require_whole_weight(*own, where);
    if (routes.snapshot() == nullptr) return own;
    if (auto found = routes.snapshot()->find(&layer()))
      return std::static_pointer_cast<const Set>(std::move(found));
    if (own->empty()) return own;
    throw StateError(message(where,
                             ": the routes are bound to a snapshot without this layer, "
                             "which has adapters"));
  }

  /// Throws StateError, naming `where`, if a forward with the set `now` is not what one with `then`
  /// was.
  template <class Where>
  static void require_same(const Set& then, const Set& now, const Where& where) {
    if (&then == &now) return;
    const std::string difference = then.difference(now);
    if (!difference.empty())
      throw StateError(message(where, ": ", difference,
                               ": backward needs the layer as it was in the forward on the tape"));
  }

  /// Returns the active adapter of `set`. Throws StateError, naming `where`, if there is none.
  template <class Where>
  static const typename Set::Entry& require_active(const Set& set, const Where& where) {
    if (set.active() != nullptr) return *set.active();
    throw StateError(message(where, ": no adapter is active: ",
                             set.empty() ? "add_adapter makes one"
                                         : "set_adapter chooses one of " + set.quoted_names()));
  }

  /// Returns what a forward adds to what is frozen, or null: the adapter in use, unless merged.
  /// Throws ShapeError if somebody assigned whole parameters of other shapes to its factors.
  template <class Where>
  [[nodiscard]] const typename Set::Entry* in_use(const Set& set, const Where& where) const {
    const auto* const used = layer().merged() ? nullptr : set.in_use();
    if (used != nullptr) layer().check_shape(*used->adapter, where);
    return used;
  }

  /// Returns the active adapter of `set`. Throws StateError, naming `where`, if there is none or it
  /// is switched off, and ShapeError as in_use does.
  template <class Where>
  const typename Set::Entry& require_in_use(const Set& set, const Where& where) const {
    const auto& active = require_active(set, where);
    layer().check_shape(*active.adapter, where);
    if (!set.enabled())
      throw StateError(message(where, ": the adapter is switched off: enable_adapter() first"));
    return active;
  }

  /// Returns the rank of what in_use returned: 0 of null.
  [[nodiscard]] static Index rank_of(const typename Set::Entry* used) {
    return used == nullptr ? 0 : used->adapter->rank();
  }

  /// Returns "encoder.layer.7.value (LoRALinear::verb)" for messages.
  [[nodiscard]] std::string at(const char* verb) const {
    const std::string call = message(Layer::kind, "::", verb);
    return message(Place{call, name_});
  }

 private:
  void put(Set& set, Adapter adapter, const std::string& where) {
    layer().check_adapter(adapter.config(), where);
    layer().check_shape(adapter, where);
    if (set.entries().size() > 1) require_own_bias(adapter.config(), where);
    prepare(adapter);
    set.replace(std::make_shared<Adapter>(std::move(adapter)));
  }

  // Throws where no adapter of these settings can be beside those of the set.
  static void require_free(const Set& set, const LoRAConfig& config, const std::string& where) {
    refuse_changed_weight(config.init, where);
    require_whole_weight(set, where);
    if (!set.empty()) require_own_bias(config, where);
  }

  static void refuse_changed_weight(LoRAInit init, const std::string& where) {
    if (changes_base(init))
      throw StateError(message(where, ": the adapter began with ", name_of(init),
                               ", so it belongs to a changed weight, and the layer's is whole: add "
                               "one with another start, then see layers/weight_start.hpp"));
  }

  static void require_same_weight(const LoRAConfig& now, const LoRAConfig& next,
                                  const std::string& where) {
    if (!changes_base(now.init) && !changes_base(next.init)) return;
    if (now.init == next.init && now.rank == next.rank && now.scaling() == next.scaling()) return;
    const auto text = [](const LoRAConfig& config) {
      return message(name_of(config.init), ", rank ", config.rank, ", scaling ", config.scaling());
    };
    throw StateError(message(where, ": the layer's adapter began with ", text(now),
                             ", and this one with ", text(next),
                             ": they belong to different weights: see layers/weight_start.hpp"));
  }

  // The bias is the layer's, whichever adapter is active; PEFT refuses the same.
  template <class Where>
  static void require_own_bias(const LoRAConfig& config, const Where& where) {
    if (config.train_bias)
      throw ConfigError(
          message(where,
                  ": train_bias is set, but the layer has other adapters, which would "
                  "compute with the bias that this one trains"));
  }

  [[nodiscard]] Layer& layer() { return static_cast<Layer&>(*this); }
  [[nodiscard]] const Layer& layer() const { return static_cast<const Layer&>(*this); }

  template <class Change>
  void change(const char* verb, const Change& change_set) {
    const std::string where = at(verb);
    require_unmerged(where);
    adapters_.update([&](Set& set) {
      change_set(set, where);
      set.require_tie(where);
    });
  }

  void add(std::string name, Adapter adapter, const std::string& where) {
    require_unmerged(where);
    adapters_.update([&](Set& set) {
      require_free(set, adapter.config(), where);
      prepare(adapter);
      set.add(std::move(name), std::make_shared<Adapter>(std::move(adapter)), where);
      layer().name_others(true);
    });
  }

  [[nodiscard]] std::shared_ptr<const Adapter> active(const char* verb) const {
    const auto set = adapters();
    if (set->active() == nullptr) static_cast<void>(require_active(*set, at(verb)));
    return set->active()->adapter;
  }

  std::string name_;
  Published<Set> adapters_;
};

}  // namespace lora
