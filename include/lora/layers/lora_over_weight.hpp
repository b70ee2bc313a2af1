#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "lora/core/matrix.hpp"
#include "lora/core/output.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/place.hpp"
#include "lora/core/tape.hpp"
#include "lora/core/trainable_scalar.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/kernels/product.hpp"
#include "lora/layers/adapter_owner.hpp"
#include "lora/layers/lora_adapter.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/layers/merge_record.hpp"

namespace lora {

/// Is satisfied by a storage that adapters are not merged into: its numbers are too coarse for the
/// sum, or its memory is not its own to write. The error for a call of merge() names this concept.
template <class Frozen, class T>
concept WouldLoseTheUpdate = FrozenWeight<Frozen, T> && !MergeableWeight<Frozen, T>;

/// The part that LoRA layers over one frozen weight have in common, whatever they compute with it:
/// the weight W (out_features, in_features), a bias (out_features) that may be left out, the
/// adapter's factors A (rank, in_features) and B (out_features, rank), merging s B A into W, and
/// what trains.
///
/// `Layer` derives from this and has `kind`, make_adapter(config, seed), and in_weight_order(a),
/// which is A with its columns in the order of W's.
template <class Layer, class T, class Frozen>
requires FrozenWeight<Frozen, T>
class LoRAOverWeight : public AdapterOwner<Layer, LoRAAdapter<T>> {
  static_assert(require_trainable_scalar<T>());
  using Owner = AdapterOwner<Layer, LoRAAdapter<T>>;

 public:
  using Scalar = T;
  using Adapter = LoRAAdapter<T>;

  // ---- The adapter ----

  using Owner::replace_adapter;

  /// Returns the factors of the active adapter, for reading gradients and for setting values. Use
  /// replace_adapter to change the settings. Throws StateError if there is none.
  [[nodiscard]] Parameter<T>& lora_A() { return this->own_adapter("lora_A").a(); }
  [[nodiscard]] Parameter<T>& lora_B() { return this->own_adapter("lora_B").b(); }
  [[nodiscard]] const Parameter<T>& lora_A() const { return this->adapter().a(); }
  [[nodiscard]] const Parameter<T>& lora_B() const { return this->adapter().b(); }

  /// Replaces the active adapter's settings and factors, a (rank, in_features) and b (out_features,
  /// rank), and keeps the seed of its dropout masks. Throws as the one that takes an adapter.
  void replace_adapter(const LoRAConfig& config, Matrix<T> a, Matrix<T> b) {
    this->check_replace(config);
    const std::string where = this->at("replace_adapter");
    const auto adapters = this->adapters();  // keeps what another thread may replace meanwhile
    const std::uint64_t seed = Owner::require_active(*adapters, where).adapter->seed();
    require_shape(a, config.rank, in_features(), where, "a", "rank", "in_features");
    require_shape(b, out_features(), config.rank, where, "b", "out_features", "rank");
    replace_adapter(Adapter(config, std::move(a), std::move(b), seed));
  }

  // ---- Merging ----

  /// Adds s B A to W in place, after which forward costs what the frozen weight alone does.
  ///
  /// Other layers over the same memory then compute with this adapter too. Needs memory that may be
  /// written: a MappedWeight that borrows for reading only is refused. HalfWeight and the storages
  /// in codes have no merge, which would round the sum: merged_weight() gives it as a matrix.
  /// Throws StateError if merged already, without an adapter that is switched on, or read-only.
  void merge(MergeMode mode = MergeMode::reversible) requires MergeableWeight<Frozen, T> {
    const std::string where = this->at("merge");
    if (merged()) throw StateError(message(where, ": the adapter is merged already"));
    const auto adapters = this->adapters();
    const Entry& entry = require_in_use(*adapters, where);
    if (!weight_.writable())
      throw StateError(message(where,
                               ": the frozen weight's memory is read-only; merged_weight() gives "
                               "the merged weight as a matrix of its own"));
    record_.merge(weight_, static_cast<T>(entry.scaling()), entry.adapter->b().value,
                  layer().in_weight_order(entry.adapter->a().value), mode);
  }

  // Deleted, not absent, so that the compiler's message shows the reason: rounding W + s B A to the
  // numbers of such a storage can lose most of s B A. Let the adapter compute beside the weight; or
  // take merged_weight(), in T; or round on purpose: with requantised_from(W, layer, make) if the
  // full-precision W is at hand, else with requantised(layer, make), which says what it lost.
  void merge(MergeMode = MergeMode::reversible) requires WouldLoseTheUpdate<Frozen, T>
  = delete;

  /// Gives W back the bits that it had before merge(). Throws StateError unless merged reversibly,
  /// and if W is not what merge() left, because another layer over the same memory has merged
  /// since: layers that share a weight unmerge in the reverse order.
  void unmerge() requires MergeableWeight<Frozen, T> {
    record_.unmerge(weight_, this->at("unmerge"));
  }

  [[nodiscard]] bool merged() const { return record_.merged(); }

  /// Returns s B A (out_features, in_features) of the active adapter, in the order of W: what
  /// merge() adds to W, PEFT's get_delta_weight. Throws StateError, naming the layer, without an
  /// adapter that is switched on.
  [[nodiscard]] Matrix<T> delta_weight() const { return delta_weight_at(this->at("delta_weight")); }

  /// The same for a function that calls it for its user: messages begin with `where`.
  [[nodiscard]] Matrix<T> delta_weight(const Place& where) const { return delta_weight_at(where); }

  // ---- What it is made of ----

  [[nodiscard]] Index in_features() const { return weight_.in_features(); }
  [[nodiscard]] Index out_features() const { return weight_.out_features(); }
  [[nodiscard]] const Frozen& weight() const { return weight_; }
  [[nodiscard]] bool has_bias() const { return bias_.value.size() != 0; }

  /// Returns the bias (1, out_features), or an empty matrix.
  [[nodiscard]] const Parameter<T>& bias() const { return bias_; }
  [[nodiscard]] Parameter<T>& bias() { return bias_; }

  /// Lets the bias train whatever the adapter's settings say, or leaves it to them: PEFT's
  /// bias="all", under which layers without an adapter train theirs. Throws ConfigError if there is
  /// no bias.
  void set_train_bias(bool train) {
    if (train && !has_bias()) throw ConfigError(this->at("set_train_bias") + ": there is no bias");
    train_bias_ = train;
  }

  /// Tells whether the bias trains: by set_train_bias, or by the active adapter's train_bias.
  [[nodiscard]] bool trains_bias() const { return trains_bias(*this->adapters()); }

  /// Lists what trains: A and B of the active adapter, and the bias if it does.
  [[nodiscard]] ParameterList<T> parameters() {
    ParameterList<T> list;
    if (this->has_adapter()) list.add(this->own_adapter("parameters").parameters());
    if (trains_bias()) list.add(bias_);
    return list;
  }

  /// Returns the number of scalars that train: rank (in_features + out_features) of the active
  /// adapter, and out_features if the bias does.
  [[nodiscard]] Index trainable_parameters() const {
    const auto adapters = this->adapters();
    const Entry* const active = adapters->active();
    return (active != nullptr ? active->adapter->size() : 0) +
           (trains_bias(*adapters) ? out_features() : 0);
  }

  /// Returns the number of scalars of W, bias and all adapters together.
  [[nodiscard]] Index total_parameters() const {
    Index sum = in_features() * out_features() + bias_.size();
    const auto set = this->adapters();  // keeps the entries while the loop reads them
    for (const Entry& entry : set->entries()) sum += entry.adapter->size();
    return sum;
  }

 protected:
  friend Owner;

  using Set = typename Owner::Set;
  using Entry = typename Set::Entry;

  /// Begins without an adapter.
  LoRAOverWeight(Frozen&& weight, const Vector<T>& bias)
      : weight_(std::move(weight)), bias_(bias_parameter(bias, weight_.out_features())) {
    name_others(false);
  }

  /// Begins with an adapter called "default".
  LoRAOverWeight(Adapter adapter, Frozen&& weight, const Vector<T>& bias)
      : Owner(std::move(adapter)),
        weight_(std::move(weight)),
        bias_(bias_parameter(bias, weight_.out_features())) {
    check_adapter(this->config(), Layer::kind);
    name_others(true);
  }

  // ---- What AdapterOwner asks for ----

  template <class Where>
  void check_adapter(const LoRAConfig& config, const Where& where) const {
    validate(config, where);
    if (config.train_bias && !has_bias())
      throw ConfigError(message(where, ": train_bias is set, but the layer has no bias"));
  }

  template <class Where>
  void check_shape(const Adapter& adapter, const Where& where) const {
    require_shape(adapter.a().value, adapter.rank(), in_features(), where, "a", "rank",
                  "in_features");
    require_shape(adapter.b().value, out_features(), adapter.rank(), where, "b", "out_features",
                  "rank");
  }

  // The bias is called as PEFT calls it, which wraps a layer that has adapters.
  void name_others(bool has_adapters) {
    std::string name = has_adapters ? "base_layer.bias" : "bias";
    if (!this->name().empty()) name = this->name() + "." + name;
    if (bias_.name != name) bias_.name = std::move(name);  // others may read it
  }

  // ---- What computing needs ----

  // What a forward adds to the frozen product, or null. Throws ShapeError if somebody assigned
  // whole parameters of other shapes to lora_A() or lora_B().
  template <class Where>
  [[nodiscard]] const Entry* in_use(const Set& adapters, const Where& where) const {
    const Entry* const used = merged() ? nullptr : adapters.in_use();
    if (used != nullptr) check_shape(*used->adapter, where);
    return used;
  }

  template <class Where>
  const Entry& require_in_use(const Set& adapters, const Where& where) const {
    const Entry& active = Owner::require_active(adapters, where);
    check_shape(*active.adapter, where);
    if (!adapters.enabled())
      throw StateError(message(where, ": the adapter is switched off: enable_adapter() first"));
    return active;
  }

  [[nodiscard]] bool trains_bias(const Set& adapters) const {
    const Entry* const active = adapters.active();
    return has_bias() &&
           (train_bias_ || (active != nullptr && active->adapter->config().train_bias));
  }

  [[nodiscard]] static Index rank_of(const Entry* used) {
    return used == nullptr ? 0 : used->adapter->rank();
  }

  // Backward computes with A and B too: an optimizer's step in between would spoil its gradients.
  static void note_factors(const Adapter& adapter, typename Tape<T>::Frame& frame) {
    frame.note_input(adapter.a().value);
    frame.note_input(adapter.b().value);
  }

  // `first` counts the marks before those of note_factors.
  template <class Where>
  static void require_factors(const Adapter& adapter, const typename Tape<T>::Frame& frame,
                              std::size_t first, const Where& where) {
    frame.mark(first).require_elements(adapter.a().value, where, "A");
    frame.mark(first + 1).require_elements(adapter.b().value, where, "B");
  }

  [[nodiscard]] const T* bias_row() const { return has_bias() ? bias_.value.data() : nullptr; }

  // What merged_weight adds to W, or null while merged.
  template <class Where>
  [[nodiscard]] const Entry* to_merge(const Set& adapters, const Where& where) const {
    return merged() ? nullptr : &require_in_use(adapters, where);
  }

  // Writes W + s B A of `entry`, in the order of W, to out.
  void write_merged(const Entry* entry, MatrixRef<T> out) const {
    out = weight_.dense();
    if (entry != nullptr) add_update(*entry, out);
  }

  template <class Where>
  [[nodiscard]] Matrix<T> delta_weight_at(const Where& where) const {
    const auto adapters = this->adapters();
    const Entry& entry = require_in_use(*adapters, where);
    Matrix<T> delta = Matrix<T>::Zero(out_features(), in_features());
    add_update(entry, delta);
    return delta;
  }

  // Adds s B A of `entry`, in the order of W, to out.
  void add_update(const Entry& entry, MatrixRef<T> out) const {
    add_product(out, static_cast<T>(entry.scaling()), entry.adapter->b().value,
                layer().in_weight_order(entry.adapter->a().value));
  }

  [[nodiscard]] const Layer& layer() const { return static_cast<const Layer&>(*this); }

  Frozen weight_;
  Parameter<T> bias_;
  bool train_bias_ = false;
  MergeRecord<T> record_;

 private:
  static Parameter<T> bias_parameter(const Vector<T>& bias, Index out_features) {
    if (bias.size() != 0 && bias.size() != out_features)
      throw ShapeError(message(Layer::kind, ": bias has ", bias.size(),
                               " elements, expected none or out_features = ", out_features));
    return Parameter<T>("", Matrix<T>(bias.transpose()), {bias.size()});
  }
};

}  // namespace lora
