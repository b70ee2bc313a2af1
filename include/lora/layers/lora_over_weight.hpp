#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "lora/core/matrix.hpp"
#include "lora/core/output.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/place.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/tape.hpp"
#include "lora/core/trainable_scalar.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/init/split_start.hpp"
#include "lora/kernels/product.hpp"
#include "lora/layers/adapter_owner.hpp"
#include "lora/layers/adapter_routes.hpp"
#include "lora/layers/dora.hpp"
#include "lora/layers/dora_norms.hpp"
#include "lora/layers/lora_adapter.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/layers/merge_record.hpp"
#include "lora/layers/routed_dora.hpp"
#include "lora/layers/routed_paths.hpp"

namespace lora {

/// Is satisfied by a storage that adapters are not merged into: its numbers are too coarse for the
/// sum, or its memory is not its own to write. The error for a call of merge() names this concept.
template <class Frozen, class T>
concept WouldLoseTheUpdate = FrozenWeight<Frozen, T> && !MergeableWeight<Frozen, T>;

/// The part that LoRA layers over one frozen weight have in common, whatever they compute with it:
/// the weight W (out_features, in_features), a bias (out_features) that may be left out, the
/// adapter's factors A (rank, in_features) and B (out_features, rank), with lora_bias B's bias b_B
/// and with DoRA its magnitudes m (out_features), merging the adapter into W, and what trains.
///
/// A convolution in groups computes each group of W's rows with inputs of its own, while A sees
/// all: A is (rank, in_features), W (out_features, in_features / groups), B (out_features, rank /
/// groups), and what B A would add is no part of such a W, so nothing merges.
///
/// `Layer` derives from this and has `kind`, make_adapter(config, seed), and ordered_a(adapter,
/// scratch), which is A with its columns in the order of W's. It may have can_freeze_a, and
/// takes_starts, which says that start_from may change W.
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

  /// Returns the bias b_B (1, out_features) of the active adapter's B, which is empty without
  /// lora_bias. Throws StateError if there is none.
  [[nodiscard]] Parameter<T>& lora_B_bias() { return this->own_adapter("lora_B_bias").b_bias(); }
  [[nodiscard]] const Parameter<T>& lora_B_bias() const { return this->adapter().b_bias(); }

  /// Returns the magnitudes m (1, out_features) of the active adapter, which are empty without
  /// DoRA. Throws StateError if there is none.
  [[nodiscard]] Parameter<T>& lora_magnitude() {
    return this->own_adapter("lora_magnitude").magnitude();
  }
  [[nodiscard]] const Parameter<T>& lora_magnitude() const { return this->adapter().magnitude(); }

  /// Replaces the active adapter's settings and factors, a (rank, in_features), b (out_features,
  /// rank) and with DoRA the magnitudes (1, out_features), which are the norms of the rows of
  /// W + s B A where none are given, and with lora_bias b_B (1, out_features), zeros where it is
  /// not given. Keeps the seed of its dropout masks. Throws as the one that takes an adapter.
  void replace_adapter(const LoRAConfig& config, Matrix<T> a, Matrix<T> b,
                       std::optional<Matrix<T>> magnitude = {},
                       std::optional<Matrix<T>> b_bias = {}) {
    this->check_replace(config);
    const std::string where = this->at("replace_adapter");
    const auto adapters = this->adapters();  // keeps what another thread may replace meanwhile
    const std::uint64_t seed = Owner::require_active(*adapters, where).adapter->seed();
    require_shape(a, config.rank, in_features(), where, "a", "rank", "in_features");
    require_b_shape(b, config.rank, where);
    Adapter adapter(config, std::move(a), std::move(b), seed, groups_);
    if (magnitude) {
      require_shape(*magnitude, 1, out_features(), where, "magnitude", "1", "out_features");
      adapter.set_magnitude(std::move(*magnitude));
    }
    if (b_bias) {
      require_shape(*b_bias, 1, out_features(), where, "b_bias", "1", "out_features");
      adapter.set_b_bias(std::move(*b_bias));
    }
    replace_adapter(std::move(adapter));
  }

  /// Takes a start that moves part of W into the active adapter: W becomes `start.base`, A and B
  /// are the start's, and the adapter's init becomes `init`. The settings stay, so `start` is made
  /// of this W with their rank and scaling: start_pissa and its neighbours do so. Other layers over
  /// the same memory then compute with the changed W too.
  ///
  /// Throws ShapeError for a start that does not fit, and StateError while merged, without an
  /// active adapter, with other adapters beside it (which belong to the whole W), for an adapter
  /// that has changed W already, and for memory that is read-only; then nothing has changed.
  void start_from(SplitStart<T> start, LoRAInit init) requires MergeableWeight<Frozen, T> {
    const std::string where = this->at("start_from");
    require_splittable(where);
    require_shape(start.base, out_features(), in_features(), where, "base", "out_features",
                  "in_features");
    LoRAConfig config = this->config();
    require_shape(start.a, config.rank, in_features(), where, "a", "rank", "in_features");
    require_shape(start.b, out_features(), config.rank, where, "b", "out_features", "rank");
    config.init = init;
    Adapter adapter(config, std::move(start.a), std::move(start.b), this->adapter().seed());
    weight_.assign(start.base);
    norms_ = DoraNorms<T>();  // which remembers the old W
    this->replace_with_weight(std::move(adapter));
  }

  /// Throws what start_from would throw for a start that fits, and ConfigError for a layer of a
  /// kind that has no starts; messages begin with `where`.
  template <class Where>
  void require_splittable(const Where& where) const requires MergeableWeight<Frozen, T> {
    if constexpr (!requires { requires Layer::takes_starts; })
      throw ConfigError(message(where, ": ", Layer::kind, " cannot give part of its weight away"));
    if (merged()) throw StateError(message(where, ": the adapter is merged: unmerge() first"));
    const auto adapters = this->adapters();
    const Entry& active = Owner::require_active(*adapters, where);
    const LoRAConfig& config = active.adapter->config();
    if (adapters->entries().size() > 1)
      throw StateError(message(where,
                               ": the layer has other adapters, which belong to the whole "
                               "weight: begin with one adapter alone"));
    if (active.factor != 1)
      throw StateError(message(where,
                               ": set_scale has changed the scaling, which a file does not "
                               "keep: set_scale(1) first"));
    if (active.layer_factor != 1)
      throw StateError(message(where, ": the layer adds its adapter's update ", active.layer_factor,
                               " times (see LoRAMultiheadAttention), and the start takes it out "
                               "of the weight once"));
    if (changes_base(config.init))
      throw StateError(message(where, ": the adapter began with ", name_of(config.init),
                               ", so the weight is not the whole one any more"));
    if (!weight_.writable())
      throw StateError(message(where,
                               ": the frozen weight's memory is read-only, and this start takes "
                               "part of the weight out of it: use memory of the layer's own, as "
                               "DenseWeight's, or lend it with MappedWeight::writable"));
  }

  // ---- Merging ----

  /// Adds s B A to W in place, with DoRA W = diag(m / n) (W + s B A), and with lora_bias s b_B to
  /// the bias, after which forward costs what the frozen weight alone does.
  ///
  /// Other layers over the same memory then compute with this adapter too. Needs memory that may be
  /// written: a MappedWeight that borrows for reading only is refused. HalfWeight and the storages
  /// in codes have no merge, which would round the sum: merged_weight() gives it as a matrix.
  /// Throws StateError if merged already, without an adapter that is switched on, or read-only, and
  /// for lora_bias where there is no bias to add to, as PEFT does, and of a convolution in groups.
  void merge(MergeMode mode = MergeMode::reversible) requires MergeableWeight<Frozen, T> {
    const std::string where = this->at("merge");
    require_whole_update(where);
    if (merged()) throw StateError(message(where, ": the adapter is merged already"));
    const auto adapters = this->adapters();
    const Entry& entry = this->require_in_use(*adapters, where);
    if (!weight_.writable())
      throw StateError(message(where,
                               ": the frozen weight's memory is read-only; merged_weight() gives "
                               "the merged weight as a matrix of its own"));
    const Matrix<T> bias = merged_bias(&entry, where);
    Matrix<T> unmerged_bias;
    if (has_b_bias(&entry) && mode == MergeMode::reversible) unmerged_bias = bias_.value;
    Scratch scratch;
    const dora::Gains<T> gains = dora_gains(&entry, false, where, scratch);
    if (!gains.exist()) {
      record_.merge(weight_, static_cast<T>(entry.scaling()), entry.adapter->b().value,
                    layer().ordered_a(*entry.adapter, scratch), mode);
    } else {
      Matrix<T> merged(out_features(), in_features());
      write_merged(&entry, gains, merged);
      record_.merge(weight_, merged, mode);
    }
    if (has_b_bias(&entry)) bias_.value = bias;
    unmerged_bias_.swap(unmerged_bias);
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
    if (unmerged_bias_.size() == 0) return;
    bias_.value = unmerged_bias_;
    unmerged_bias_ = Matrix<T>();
  }

  [[nodiscard]] bool merged() const { return record_.merged(); }

  /// Returns the bias that forward computes with, the one that belongs to weight_in_use(): b + s
  /// b_B of the adapter in use, or b (1, out_features), or an empty matrix. Throws StateError for
  /// lora_bias where there is no b, as merge() does.
  [[nodiscard]] Matrix<T> bias_in_use() const {
    const std::string where = this->at("bias_in_use");
    const auto adapters = this->adapters();
    return merged_bias(this->in_use(*adapters, where), where);
  }

  /// Returns s B A (out_features, in_features) of the active adapter, in the order of W: what
  /// merge() adds to W, PEFT's get_delta_weight. With DoRA too it is what merge() adds, diag(m / n)
  /// (W + s B A) - W, where PEFT gives s B A. Throws StateError, naming the layer, without an
  /// adapter that is switched on, and with DoRA while merged, where that W is not there.
  [[nodiscard]] Matrix<T> delta_weight() const { return delta_weight_at(this->at("delta_weight")); }

  /// The same for a function that calls it for its user: messages begin with `where`.
  [[nodiscard]] Matrix<T> delta_weight(const Place& where) const { return delta_weight_at(where); }

  // ---- What it is made of ----

  [[nodiscard]] Index in_features() const { return groups_ * weight_.in_features(); }
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

  /// Lists what trains: A, B, with lora_bias b_B and with DoRA m of the active adapter, and the
  /// bias if it does.
  [[nodiscard]] ParameterList<T> parameters() {
    ParameterList<T> list;
    if (this->has_adapter()) list.add(this->own_adapter("parameters").parameters());
    if (trains_bias()) list.add(bias_);
    return list;
  }

  /// Lists what trains in mixed batches that are routed to these adapters: their A, B, b_B and m,
  /// and the bias if it does. Each adapter needs an optimizer of its own, because the parameters of
  /// all adapters of a layer have the same names. Throws ConfigError for an adapter that is not
  /// there.
  [[nodiscard]] ParameterList<T> parameters(const std::vector<std::string>& adapter_names) {
    const std::string where = this->at("parameters");
    const auto adapters = this->adapters();
    ParameterList<T> list;
    bool with_bias = train_bias_;
    for (const std::string& name : adapter_names) {
      const Entry& entry = adapters->at(name, where);
      // The layer is not const and made the adapter, which is const to all who only share it.
      list.add(const_cast<Adapter&>(*entry.adapter).parameters());
      with_bias = with_bias || entry.adapter->config().train_bias;
    }
    if (with_bias) list.add(bias_);
    return list;
  }

  /// Returns the number of scalars that train: rank (in_features + out_features) of the active
  /// adapter, out_features with lora_bias and with DoRA, and out_features if the bias does.
  [[nodiscard]] Index trainable_parameters() const {
    const auto adapters = this->adapters();
    const Entry* const active = adapters->active();
    return (active != nullptr ? active->adapter->trainable_size() : 0) +
           (trains_bias(*adapters) ? out_features() : 0);
  }

  /// Returns the number of scalars of W, bias and all adapters together.
  [[nodiscard]] Index total_parameters() const {
    Index sum = weight_.in_features() * out_features() + bias_.size();
    const auto set = this->adapters();  // keeps the entries while the loop reads them
    for (const Entry& entry : set->entries()) sum += entry.adapter->size();
    return sum;
  }

 protected:
  friend Owner;

  using Set = typename Owner::Set;
  using Entry = typename Set::Entry;

  /// Begins without an adapter.
  LoRAOverWeight(Frozen&& weight, const Vector<T>& bias, Index groups = 1)
      : weight_(std::move(weight)),
        bias_(bias_parameter(bias, weight_.out_features())),
        groups_(groups) {
    name_others(false);
  }

  /// Begins with an adapter called "default".
  LoRAOverWeight(Adapter adapter, Frozen&& weight, const Vector<T>& bias, Index groups = 1)
      : Owner(std::move(adapter)),
        weight_(std::move(weight)),
        bias_(bias_parameter(bias, weight_.out_features())),
        groups_(groups) {
    check_adapter(this->config(), Layer::kind);
    name_others(true);
    // A new adapter: B is zero, so that A, whose order only the whole layer knows, says nothing.
    Adapter& own = this->own_adapter(Layer::kind);
    if (own.config().use_dora) own.set_magnitude(norms_of(own, T(0), own.a().value));
  }

  // ---- What AdapterOwner asks for ----

  template <class Where>
  void check_adapter(const LoRAConfig& config, const Where& where) const {
    validate(config, where);
    if (config.train_bias && !has_bias())
      throw ConfigError(message(where, ": train_bias is set, but the layer has no bias"));
    if constexpr (!requires { Layer::can_freeze_a; })
      if (config.freeze_a)
        throw ConfigError(message(where, ": freeze_a is set, which only a LoRALinear can"));
    if (groups_ == 1) return;
    if (config.rank % groups_ != 0)
      throw ConfigError(message(where, ": rank is ", config.rank,
                                ", expected a multiple of groups = ", groups_,
                                ": choose another, or no adapter for this layer"));
    if (config.use_dora)
      throw ConfigError(message(where,
                                ": use_dora is set, but the convolution has groups = ", groups_,
                                ": W + s B A, whose norms DoRA takes, is no weight of such a one"));
  }

  template <class Where>
  void check_shape(const Adapter& adapter, const Where& where) const {
    require_shape(adapter.a().value, adapter.rank(), in_features(), where, "a", "rank",
                  "in_features");
    require_b_shape(adapter.b().value, adapter.rank(), where);
    if (adapter.config().use_dora && adapter.has_magnitude())
      require_shape(adapter.magnitude().value, 1, out_features(), where, "magnitude", "1",
                    "out_features");
    if (adapter.config().lora_bias)
      require_shape(adapter.b_bias().value, 1, out_features(), where, "b_bias", "1",
                    "out_features");
  }

  // Lets magnitudes that an adapter lacks begin as the norms that they are divided by.
  void complete(Adapter& adapter) const {
    if (!adapter.config().use_dora || adapter.has_magnitude()) return;
    Scratch scratch;
    adapter.set_magnitude(norms_of(adapter, static_cast<T>(adapter.config().scaling()),
                                   layer().ordered_a(adapter, scratch)));
  }

  // The bias is called as PEFT calls it, which wraps a layer that has adapters.
  void name_others(bool has_adapters) {
    std::string name = has_adapters ? "base_layer.bias" : "bias";
    if (!this->name().empty()) name = this->name() + "." + name;
    if (bias_.name != name) bias_.name = std::move(name);  // others may read it
  }

  // ---- What computing needs ----

  [[nodiscard]] bool trains_bias(const Set& adapters) const {
    const Entry* const active = adapters.active();
    return has_bias() &&
           (train_bias_ || (active != nullptr && active->adapter->config().train_bias));
  }

  // Whether the bias trains in a mixed batch.
  [[nodiscard]] bool trains_bias(const RoutedPaths<T>& paths) const {
    bool trains = train_bias_;
    paths.for_each(
        [&](const Entry& entry) { trains = trains || entry.adapter->config().train_bias; });
    return trains && has_bias();
  }

  // Whether backward computes the gradient of A, for which alone it needs x.
  [[nodiscard]] static bool trains_a(const Entry* used) {
    return used != nullptr && !used->adapter->config().freeze_a;
  }

  // The gains of an adapter with DoRA, in memory of `scratch`. `remember` says that the next call
  // may have the same factors. Throws StateError for a magnitude without a direction.
  template <class Where>
  [[nodiscard]] dora::Gains<T> dora_gains(const Entry* used, bool remember, const Where& where,
                                          Scratch& scratch) const {
    if (!dora::is_used_by(used)) return {};
    const MatrixRef<T> rows = scratch.matrix<T>(2, out_features());
    write_gains(*used, remember, where, rows);
    return {rows};
  }

  // The same of all adapters with DoRA that rows are routed to, (2 count, out_features).
  template <class Where>
  [[nodiscard]] MatrixRef<T> routed_gains(const RoutedPaths<T>& paths, bool remember,
                                          const Where& where, Scratch& scratch) const {
    return RoutedDora<T>::make_gains(
        paths, out_features(), scratch,
        [&](const Entry& entry, MatrixRef<T> rows) { write_gains(entry, remember, where, rows); });
  }

  [[nodiscard]] const T* bias_row() const { return has_bias() ? bias_.value.data() : nullptr; }

  [[nodiscard]] static bool has_b_bias(const Entry* used) {
    return used != nullptr && used->adapter->config().lora_bias;
  }

  // The bias with s b_B of the adapter, in memory of `scratch` if there is a sum.
  [[nodiscard]] const T* bias_row(const Entry* used, Scratch& scratch) const {
    if (!has_b_bias(used)) return bias_row();
    MatrixRef<T> row = scratch.matrix<T>(1, out_features());
    row = static_cast<T>(used->scaling()) * used->adapter->b_bias().value;
    if (has_bias()) row += bias_.value;
    return row.data();
  }

  // The same as a matrix of its own. Throws StateError where there is no bias to add to.
  template <class Where>
  [[nodiscard]] Matrix<T> merged_bias(const Entry* used, const Where& where) const {
    if (!has_b_bias(used)) return bias_.value;
    if (!has_bias())
      throw StateError(message(where,
                               ": the adapter has lora_bias, and the layer has no bias that it "
                               "could be merged into"));
    return bias_.value + static_cast<T>(used->scaling()) * used->adapter->b_bias().value;
  }

  // Throws where s B A cannot be added to W.
  template <class Where>
  void require_whole_update(const Where& where) const {
    if (groups_ == 1) return;
    throw StateError(message(where, ": the convolution has groups = ", groups_,
                             ", and the adapter's A sees the channels of all, so the sum would be "
                             "a convolution without groups: the adapter computes beside the "
                             "weight, as in PEFT"));
  }

  // What merged_weight adds to W, or null while merged.
  template <class Where>
  [[nodiscard]] const Entry* to_merge(const Set& adapters, const Where& where) const {
    require_whole_update(where);
    return merged() ? nullptr : &this->require_in_use(adapters, where);
  }

  // Writes W + s B A of `entry`, its rows times the gains if there are some, in the order of W, to
  // out.
  void write_merged(const Entry* entry, const dora::Gains<T>& gains, MatrixRef<T> out) const {
    out = weight_.dense();
    if (entry != nullptr) add_update(*entry, out);
    if (gains.exist())
      for (Index o = 0; o < out.rows(); ++o) out.row(o) *= gains.gain()[o];
  }

  template <class Where>
  [[nodiscard]] Matrix<T> delta_weight_at(const Where& where) const {
    require_whole_update(where);
    const auto adapters = this->adapters();
    const Entry& entry = this->require_in_use(*adapters, where);
    if (merged() && dora::is_used_by(&entry))
      throw StateError(message(where,
                               ": the adapter has DoRA and is merged, and its update is a "
                               "difference to the weight without it: unmerge() first"));
    Matrix<T> delta = Matrix<T>::Zero(out_features(), in_features());
    Scratch scratch;
    const dora::Gains<T> gains = dora_gains(&entry, false, where, scratch);
    if (!gains.exist()) {
      add_update(entry, delta);
    } else {
      write_merged(&entry, gains, delta);
      delta -= weight_.dense();
    }
    return delta;
  }

  // Adds s B A of `entry`, in the order of W, to out.
  void add_update(const Entry& entry, MatrixRef<T> out) const {
    Scratch scratch;
    add_product(out, static_cast<T>(entry.scaling()), entry.adapter->b().value,
                layer().ordered_a(*entry.adapter, scratch));
  }

  [[nodiscard]] const Layer& layer() const { return static_cast<const Layer&>(*this); }

  Frozen weight_;
  Parameter<T> bias_;
  bool train_bias_ = false;
  MergeRecord<T> record_;
  Matrix<T> unmerged_bias_;  // b before a reversible merge that changed it
  DoraNorms<T> norms_;
  Index groups_ = 1;

 private:
  template <class Where>
  void write_gains(const Entry& used, bool remember, const Where& where, MatrixRef<T> rows) const {
    const Adapter& adapter = *used.adapter;
    Scratch scratch;
    const ConstMatrixRef<T> a = layer().ordered_a(adapter, scratch);
    const T s = static_cast<T>(used.scaling());
    T* const norms = rows.data() + rows.outerStride();
    if (remember)
      norms_.recall(weight_, a, adapter.b().value, s, norms);
    else
      norms_.compute(weight_, a, adapter.b().value, s, norms);
    dora::to_gains<T>(adapter.magnitude().value.data(), rows, where);
  }

  template <class B, class Where>
  void require_b_shape(const B& b, Index rank, const Where& where) const {
    require_shape(b, out_features(), rank / groups_, where, "b", "out_features",
                  groups_ == 1 ? "rank" : "rank / groups");
  }

  // The norms of the rows of W + s B A, a in the order of W.
  [[nodiscard]] Matrix<T> norms_of(const Adapter& adapter, T s, ConstMatrixRef<T> a) const {
    Matrix<T> norms(1, out_features());
    norms_.compute(weight_, a, adapter.b().value, s, norms.data());
    return norms;
  }

  static Parameter<T> bias_parameter(const Vector<T>& bias, Index out_features) {
    if (bias.size() != 0 && bias.size() != out_features)
      throw ShapeError(message(Layer::kind, ": bias has ", bias.size(),
                               " elements, expected none or out_features = ", out_features));
    return Parameter<T>("", Matrix<T>(bias.transpose()), {bias.size()});
  }
};

}  // namespace lora
