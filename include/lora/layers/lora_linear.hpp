#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "lora/core/gradients.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/output.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/place.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/tape.hpp"
#include "lora/core/trainable_scalar.hpp"
#include "lora/frozen/dense_weight.hpp"
#include "lora/frozen/frozen_passes.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/kernels/low_rank_gradients.hpp"
#include "lora/kernels/low_rank_path.hpp"
#include "lora/kernels/product.hpp"
#include "lora/layers/adapter_owner.hpp"
#include "lora/layers/lora_adapter.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/layers/merge_record.hpp"
#include "lora/nn/bias_gradient.hpp"

namespace lora {

/// A frozen linear layer with a set of trainable low-rank updates, of which one is active, or none
/// (Hu et al., "LoRA", 2021; PEFT 0.21's lora.Linear):
///
///     y = x W^T + b + s drop(x) A^T B^T
///
/// x (N, in), y (N, out), W (out, in) frozen, b (out) optional, A (rank, in), B (out, rank),
/// s = alpha / rank or alpha / sqrt(rank). Dropout is of the low-rank path, in training only.
/// B starts at zero, so a new layer computes what its frozen weight does. Without an active adapter
/// it is the frozen layer.
///
/// Which calls may run at once: see AdapterOwner, whose members choose the adapter. Threads that
/// train one layer at the same time have a tape and Gradients each and call the const backward.
/// A second call of the same shapes allocates nothing. Every check comes before the first change.
template <class T, class Frozen = DenseWeight<T>>
requires FrozenWeight<Frozen, T>
class LoRALinear : public AdapterOwner<LoRALinear<T, Frozen>, LoRAAdapter<T>> {
  static_assert(require_trainable_scalar<T>());
  using Owner = AdapterOwner<LoRALinear, LoRAAdapter<T>>;

 public:
  using Scalar = T;
  using Adapter = LoRAAdapter<T>;
  static constexpr const char* kind = "LoRALinear";

  /// Wraps `weight` (out, in) without an adapter: a frozen layer. `bias` is empty or (out). Throws
  /// ShapeError for a bias that does not fit.
  explicit LoRALinear(Frozen weight, Vector<T> bias = {})
      : weight_(std::move(weight)), bias_(bias_parameter(bias, weight_.out_features())) {
    name_others(false);
  }

  /// Wraps `weight` (out, in) with an active adapter called "default", drawn from `seed`. `bias` is
  /// empty or (out). Throws ConfigError for settings out of range and ShapeError for a bias that
  /// does not fit.
  LoRALinear(Frozen weight, const LoRAConfig& config, std::uint64_t seed, Vector<T> bias = {})
      : Owner((validate(config, kind),
               Adapter(weight.out_features(), weight.in_features(), config, seed))),
        weight_(std::move(weight)),
        bias_(bias_parameter(bias, weight_.out_features())) {
    check_adapter(config, kind);
    name_others(true);
  }

  // ---- Computing ----

  /// Computes y (N, out) for x (N, in), without dropout. Throws ShapeError.
  void forward(ConstMatrixRef<T> x, Output<T> y) const {
    const Place where{"LoRALinear::forward", this->name()};
    const auto adapters = this->adapters();
    const Entry* const used = in_use(*adapters, where);
    const MatrixRef<T> out = checked_output(x, y, where);
    Scratch scratch;
    const MatrixRef<T> xa = scratch.matrix<T>(x.rows(), rank_of(used));
    run_forward(x, used, {}, xa, out);
  }

  /// Computes y (N, out) for x (N, in) with dropout, and leaves on the tape what backward needs:
  /// drop(x) A^T (N, rank). x stays as it is until backward. Throws ShapeError, and StateError
  /// while merged.
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, Output<T> y) const {
    const Place where{"LoRALinear::forward(x, tape, y)", this->name()};
    this->require_unmerged(where);
    const auto adapters = this->adapters();
    const Entry* const used = in_use(*adapters, where);
    const MatrixRef<T> out = checked_output(x, y, where);
    auto& frame = tape.push(this, this->name(), x.rows());
    frame.note_input(x);
    if (used != nullptr) note_factors(*used->adapter, frame);
    frame.hold(adapters);
    const MatrixRef<T> xa = frame.keep(x.rows(), rank_of(used));
    run_forward(x, used, mask_of(used, frame.mask_step()), xa, out);
  }

  /// Adds to the gradients of A, B (and the bias, if trained), and computes the gradient of x:
  ///
  ///     g = dy B,  dB += s dy^T (drop(x) A^T),  dA += s g^T drop(x),
  ///     dx = dy W + (s g A) * mask
  ///
  /// x is the forward's, dy (N, out), dx (N, in). The layer must be as it was in that forward: the
  /// same adapter, switched on or off, of the same scaling. Throws ShapeError and StateError,
  /// before anything changes.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape, Output<T> dx) {
    run_backward(x, dy, tape, GradientTarget<T>::own(), &dx);
  }

  /// Does the same without the gradient of x, as the first layer of a network needs: dy W is not
  /// computed at all.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape) {
    run_backward(x, dy, tape, GradientTarget<T>::own(), nullptr);
  }

  /// Does the same, but adds to `gradients`, a `Gradients<T>` made from parameters(): what threads
  /// that train one layer call, each with its own.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients, Output<T> dx) const {
    run_backward(x, dy, tape, gradients, &dx);
  }

  /// Does the same without the gradient of x.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients) const {
    run_backward(x, dy, tape, gradients, nullptr);
  }

  // ---- The adapter ----

  using Owner::replace_adapter;

  /// Replaces the active adapter's settings and factors, a (rank, in) and b (out, rank), and keeps
  /// the seed of its dropout masks. Throws as the one that takes an adapter.
  void replace_adapter(const LoRAConfig& config, Matrix<T> a, Matrix<T> b) {
    this->check_replace(config);
    const std::string where = this->at("replace_adapter");
    const auto adapters = this->adapters();  // keeps what another thread may replace meanwhile
    const std::uint64_t seed = Owner::require_active(*adapters, where).adapter->seed();
    require_shape(a, config.rank, in_features(), where, "a", "rank", "in_features");
    require_shape(b, out_features(), config.rank, where, "b", "out_features", "rank");
    replace_adapter(Adapter(config, std::move(a), std::move(b), seed));
  }

  /// Returns the factors of the active adapter, for reading gradients and for setting values. Use
  /// replace_adapter to change the settings. Throws StateError if there is none.
  [[nodiscard]] Parameter<T>& lora_A() { return this->own_adapter("lora_A").a(); }
  [[nodiscard]] Parameter<T>& lora_B() { return this->own_adapter("lora_B").b(); }
  [[nodiscard]] const Parameter<T>& lora_A() const { return this->adapter().a(); }
  [[nodiscard]] const Parameter<T>& lora_B() const { return this->adapter().b(); }

  // ---- Merging ----

  /// Adds s B A to W in place, after which forward costs what the frozen weight alone does.
  ///
  /// Other layers over the same memory then compute with this adapter too. Needs memory that may be
  /// written: a MappedWeight that borrows for reading only is refused.
  /// Throws StateError if merged already, without an adapter that is switched on, or read-only.
  void merge(MergeMode mode = MergeMode::reversible) requires MergeableWeight<Frozen, T> {
    const Place where{"LoRALinear::merge", this->name()};
    if (merged()) throw StateError(message(where, ": the adapter is merged already"));
    const auto adapters = this->adapters();
    const Entry& entry = require_in_use(*adapters, where);
    if (!weight_.writable())
      throw StateError(message(where,
                               ": the frozen weight's memory is read-only; merged_weight() gives "
                               "the merged weight as a matrix of its own"));
    record_.merge(weight_, static_cast<T>(entry.scaling()), entry.adapter->b().value,
                  entry.adapter->a().value, mode);
  }

  /// Gives W back the bits that it had before merge(). Throws StateError unless merged reversibly,
  /// and if W is not what merge() left, because another layer over the same memory has merged
  /// since: layers that share a weight unmerge in the reverse order.
  void unmerge() requires MergeableWeight<Frozen, T> {
    record_.unmerge(weight_, Place{"LoRALinear::unmerge", this->name()});
  }

  [[nodiscard]] bool merged() const { return record_.merged(); }

  /// Writes W + s B A (out, in) to `matrix`; leaves the layer as it is, so it serves read-only
  /// weights too. While merged: W as it is. Throws ShapeError, and StateError without an adapter
  /// that is switched on.
  void merged_weight(Output<T> matrix) const {
    const Place where{"LoRALinear::merged_weight", this->name()};
    const auto adapters = this->adapters();
    const Entry* const entry = merged() ? nullptr : &require_in_use(*adapters, where);
    MatrixRef<T> out = matrix.shaped(out_features(), in_features(), where, "the matrix");
    out = weight_.dense();
    if (entry != nullptr)
      add_product(out, static_cast<T>(entry->scaling()), entry->adapter->b().value,
                  entry->adapter->a().value);
  }

  /// Returns the same as a matrix of its own.
  [[nodiscard]] Matrix<T> merged_weight() const {
    Matrix<T> merged;
    merged_weight(merged);
    return merged;
  }

  /// What unload() gives back.
  struct Unloaded {
    Frozen weight;   ///< W (out, in)
    Vector<T> bias;  ///< (out), or empty
  };

  /// Gives the frozen weight and the bias back, as they are, and leaves the adapters: after merge()
  /// (PEFT's merge_and_unload) the weight has the adapter in it. The layer is used up:
  ///
  ///     auto [weight, bias] = std::move(layer).unload();
  [[nodiscard]] Unloaded unload() && {
    return {std::move(weight_), Vector<T>(bias_.value.reshaped())};
  }

  // ---- What it is made of ----

  [[nodiscard]] Index in_features() const { return weight_.in_features(); }
  [[nodiscard]] Index out_features() const { return weight_.out_features(); }
  [[nodiscard]] const Frozen& weight() const { return weight_; }
  [[nodiscard]] bool has_bias() const { return bias_.value.size() != 0; }

  /// Returns the bias (1, out), or an empty matrix.
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

  /// Returns the number of scalars that train: rank (in + out) of the active adapter, and out if
  /// the bias does.
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

 private:
  friend Owner;
  template <class S, class W>
  requires FrozenWeight<W, S>
  friend class LoRALinearGroup;

  using Set = typename Owner::Set;
  using Entry = typename Set::Entry;

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

  [[nodiscard]] Adapter make_adapter(const LoRAConfig& config, std::uint64_t seed) const {
    return Adapter(out_features(), in_features(), config, seed);
  }

  // The bias is called as PEFT calls it, which wraps a layer that has adapters.
  void name_others(bool has_adapters) {
    std::string name = has_adapters ? "base_layer.bias" : "bias";
    if (!this->name().empty()) name = this->name() + "." + name;
    if (bias_.name != name) bias_.name = std::move(name);  // others may read it
  }

  // ---- What computing needs ----

  static Parameter<T> bias_parameter(const Vector<T>& bias, Index out_features) {
    if (bias.size() != 0 && bias.size() != out_features)
      throw ShapeError(message(kind, ": bias has ", bias.size(),
                               " elements, expected none or out_features = ", out_features));
    return Parameter<T>("", Matrix<T>(bias.transpose()), {bias.size()});
  }

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

  [[nodiscard]] static std::optional<DropoutMask> mask_of(const Entry* used,
                                                          std::uint64_t mask_step) {
    return used == nullptr ? std::nullopt : used->adapter->dropout_mask(mask_step);
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

  // s xa B^T, what joins x W^T.
  [[nodiscard]] static frozen_passes::LowRankPart<T> joins_y(const Entry* used,
                                                             ConstMatrixRef<T> xa) {
    if (used == nullptr) return {xa.leftCols(0), {}, T(0)};
    const auto& b = used->adapter->b().value;
    return {xa, kernels::columns_of(b.data(), b.outerStride(), false),
            static_cast<T>(used->scaling())};
  }

  // s g A, what joins dy W.
  [[nodiscard]] static frozen_passes::LowRankPart<T> joins_dx(const Entry* used,
                                                              ConstMatrixRef<T> g) {
    if (used == nullptr) return {g.leftCols(0), {}, T(0)};
    const auto& a = used->adapter->a().value;
    return {g, kernels::columns_of(a.data(), a.outerStride(), true),
            static_cast<T>(used->scaling())};
  }

  template <class Where>
  [[nodiscard]] MatrixRef<T> checked_output(const ConstMatrixRef<T>& x, const Output<T>& y,
                                            const Where& where) const {
    require_cols(x, in_features(), where, "x", "in_features");
    return y.shaped(x.rows(), out_features(), where, "y", {x});
  }

  void run_forward(ConstMatrixRef<T> x, const Entry* used, const std::optional<DropoutMask>& mask,
                   MatrixRef<T> xa, MatrixRef<T> y) const {
    if (used != nullptr) {
      const low_rank_path::Input<T> input{used->adapter->a().value, xa, mask};
      low_rank_path::forward<T>(x, std::span(&input, 1));
    }
    frozen_passes::forward<T>(weight_, x, bias_row(), joins_y(used, xa), y);
  }

  void run_backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                    GradientTarget<T> target, const Output<T>* dx) const {
    const Place where{"LoRALinear::backward", this->name()};
    this->require_unmerged(where);
    require_cols(x, in_features(), where, "x", "in_features");
    require_shape(dy, x.rows(), out_features(), where, "dy", "N", "out_features");
    auto& frame = tape.top(this, dy.rows(), where);
    const auto adapters = this->adapters();
    Owner::require_same(*static_cast<const Set*>(frame.held().get()), *adapters, where);
    const Entry* const used = in_use(*adapters, where);
    if (used != nullptr) {
      frame.require_input(x, where);
      require_factors(*used->adapter, frame, 1, where);
    }
    const bool with_bias = trains_bias(*adapters);
    const MatrixRef<T> none(nullptr, 0, 0, 0);
    MatrixRef<T> da = used != nullptr ? target.of(used->adapter->a()) : none;
    const MatrixRef<T> db = used != nullptr ? target.of(used->adapter->b()) : none;
    const MatrixRef<T> dbias = with_bias ? target.of(bias_) : none;
    const MatrixRef<T> out =
        dx != nullptr ? dx->shaped(x.rows(), in_features(), where, "dx", {x, dy}) : none;

    if (with_bias) add_bias_gradient<T>(dy, dbias);
    const MatrixRef<T> xa = frame.kept();
    Scratch scratch;
    MatrixRef<T> g = scratch.matrix<T>(dy.rows(), rank_of(used));  // dy B
    if (used != nullptr) low_rank_path::gradient_of_xa<T>(dy, used->adapter->b().value, g);
    const auto mask = mask_of(used, frame.mask_step());
    // A mask stands between s g A and dx; without one both come in one pass.
    if (dx != nullptr)
      frozen_passes::backward<T>(weight_, dy, joins_dx(used, g.leftCols(mask ? 0 : g.cols())), out);
    if (used != nullptr) {
      const T s = static_cast<T>(used->scaling());
      if (mask) low_rank_path::backward<T>(x, used->adapter->a().value, g, s, *mask, da, out);
      const low_rank_path::Gradients<T> path{g, dy, xa, s, da.leftCols(mask ? 0 : da.cols()), db};
      low_rank_path::add_gradients<T>(x, std::span(&path, 1));
    }
    tape.pop();
  }

  Frozen weight_;
  Parameter<T> bias_;
  bool train_bias_ = false;
  MergeRecord<T> record_;
};

}  // namespace lora
