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
#include "lora/kernels/grouped_low_rank.hpp"
#include "lora/kernels/low_rank_gradients.hpp"
#include "lora/kernels/low_rank_path.hpp"
#include "lora/layers/adapter_routes.hpp"
#include "lora/layers/dora.hpp"
#include "lora/layers/factor_marks.hpp"
#include "lora/layers/lora_adapter.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/layers/lora_over_weight.hpp"
#include "lora/layers/routed_dora.hpp"
#include "lora/layers/routed_paths.hpp"
#include "lora/nn/bias_gradient.hpp"

namespace lora {

/// A frozen linear layer with a set of trainable low-rank updates, of which one is active, or none
/// (Hu et al., "LoRA", 2021; PEFT 0.21's lora.Linear):
///
///     y = x W^T + b + s drop(x) A^T B^T
///
/// x (N, in), y (N, out), W (out, in) frozen, b (out) optional, A (rank, in), B (out, rank),
/// s = alpha / rank or alpha / sqrt(rank). Dropout is of the low-rank path, in training only.
/// With config.lora_bias y gets s b_B too, B's own bias, to which no dropout applies.
/// B starts at zero, so a new layer computes what its frozen weight does. Without an active adapter
/// it is the frozen layer. With DoRA (config.use_dora) the rows of W + s B A are scaled to lengths
/// that train too; see dora, and PEFT's formula for dropout, which then costs a second product with
/// W in each direction.
///
/// Which calls may run at once: see AdapterOwner, whose members choose the adapter. Threads that
/// train one layer at the same time have a tape and Gradients each and call the const backward.
/// A second call of the same shapes allocates nothing. Every check comes before the first change.
template <class T, class Frozen = DenseWeight<T>>
requires FrozenWeight<Frozen, T>
class LoRALinear : public LoRAOverWeight<LoRALinear<T, Frozen>, T, Frozen> {
  using Base = LoRAOverWeight<LoRALinear, T, Frozen>;

 public:
  using typename Base::Adapter;
  static constexpr const char* kind = "LoRALinear";
  static constexpr bool can_freeze_a = true;
  static constexpr bool takes_starts = MergeableWeight<Frozen, T>;

  /// Wraps `weight` (out, in) without an adapter: a frozen layer. `bias` is empty or (out). Throws
  /// ShapeError for a bias that does not fit.
  explicit LoRALinear(Frozen weight, const Vector<T>& bias = {}) : Base(std::move(weight), bias) {}

  /// Wraps `weight` (out, in) with an active adapter called "default", drawn from `seed`. `bias` is
  /// empty or (out). Throws ConfigError for settings out of range and ShapeError for a bias that
  /// does not fit.
  LoRALinear(Frozen weight, const LoRAConfig& config, std::uint64_t seed,
             const Vector<T>& bias = {})
      : Base(new_adapter(weight, config, seed), std::move(weight), bias) {}

  // ---- Computing ----

  /// Computes y (N, out) for x (N, in), without dropout. Throws ShapeError.
  void forward(ConstMatrixRef<T> x, Output<T> y) const;

  /// Computes y (N, out) for x (N, in) with dropout, and leaves on the tape what backward needs:
  /// drop(x) A^T (N, rank), and with DoRA z (N, out). x stays as it is until backward, unless A is
  /// frozen (config's freeze_a). Throws ShapeError, and StateError while merged.
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, Output<T> y) const;

  /// Computes y (N, out) of a mixed batch: each row of x (N, in) with the adapter that `routes`
  /// names for it, of whatever rank and scaling, or with none. One pass over W serves all rows.
  /// Whether an adapter is active does not matter, but for rows of active_adapters; while adapters
  /// are switched off, no row has one. Throws ShapeError, ConfigError for an adapter that the layer
  /// does not have (see AdapterRoutes), and StateError while merged or where an adapter of the
  /// layer began with part of the weight (see LoRAInit).
  void forward(ConstMatrixRef<T> x, const AdapterRoutes& routes, Output<T> y) const;

  /// Computes a mixed batch with dropout, and leaves on the tape what backward needs. backward then
  /// adds to the gradients of every adapter that rows are routed to. Masks and gradients are those
  /// that the rows of each adapter would have in a batch of their own. x stays as it is until
  /// backward, unless every A that rows are routed to is frozen. Throws as above.
  void forward(ConstMatrixRef<T> x, const AdapterRoutes& routes, Tape<T>& tape, Output<T> y) const;

  /// Adds to the gradients of A, B (and the biases that train; db_B += s sum over rows of dy), and
  /// computes the gradient of x:
  ///
  ///     g = dy B,  dB += s dy^T (drop(x) A^T),  dA += s g^T drop(x),
  ///     dx = dy W + (s g A) * mask
  ///
  /// With DoRA, dz = dy diag(m / n) takes the place of dy here, dm_o += sum over rows of dy z / n,
  /// and with dropout dx = (1 - mask) * (dy W) + mask * (dz W + s g A).
  /// x is the forward's, dy (N, out), dx (N, in). The layer must be as it was in that forward: the
  /// same adapter, switched on or off, of the same scaling. Throws ShapeError and StateError,
  /// before anything changes.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape, Output<T> dx) {
    run_backward(&x, dy, tape, GradientTarget<T>::own(), &dx);
  }

  /// Does the same without the gradient of x, as the first layer of a network needs: dy W is not
  /// computed at all.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape) {
    run_backward(&x, dy, tape, GradientTarget<T>::own(), nullptr);
  }

  /// Does the same without x, where A is frozen or there is no adapter: the gradient of A alone
  /// would need it, so x may be gone or overwritten by now (Zhang et al., "LoRA-FA", 2023, arXiv
  /// 2308.03303). Throws StateError, naming the layer, where A trains.
  void backward(ConstMatrixRef<T> dy, Tape<T>& tape, Output<T> dx) {
    run_backward(nullptr, dy, tape, GradientTarget<T>::own(), &dx);
  }

  /// Does the same without the gradient of x.
  void backward(ConstMatrixRef<T> dy, Tape<T>& tape) {
    run_backward(nullptr, dy, tape, GradientTarget<T>::own(), nullptr);
  }

  /// Does the same, but adds to `gradients`, a `Gradients<T>` made from parameters(): what threads
  /// that train one layer call, each with its own.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients, Output<T> dx) const {
    run_backward(&x, dy, tape, gradients, &dx);
  }

  /// Does the same without the gradient of x.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape,
                GradientTarget<T> gradients) const {
    run_backward(&x, dy, tape, gradients, nullptr);
  }

  // ---- Merging ----

  /// Writes W + s B A (out, in) to `matrix`; leaves the layer as it is, so it serves read-only
  /// weights too. bias_in_use() is what belongs to it. While merged: W as it is. Throws ShapeError,
  /// for the memory of A or B as well, and StateError without an adapter that is switched on.
  void merged_weight(Output<T> matrix) const {
    const Place where{"LoRALinear::merged_weight", this->name()};
    const auto adapters = this->adapters();
    const Entry* const entry = this->to_merge(*adapters, where);
    const Index out = out_features(), in = in_features();
    Scratch scratch;
    const dora::Gains<T> gains = this->dora_gains(entry, false, where, scratch);
    this->write_merged(entry, gains,
                       entry == nullptr
                           ? matrix.shaped(out, in, where, "the matrix")
                           : matrix.shaped(out, in, where, "the matrix",
                                           {entry->adapter->a().value, entry->adapter->b().value}));
  }

  /// Returns the same as a matrix of its own.
  [[nodiscard]] Matrix<T> merged_weight() const {
    Matrix<T> merged;
    merged_weight(merged);
    return merged;
  }

  /// Returns the weight that forward computes with: W + s B A of the adapter in use, or W.
  [[nodiscard]] Matrix<T> weight_in_use() const {
    const Place where{"LoRALinear::weight_in_use", this->name()};
    const auto adapters = this->adapters();
    const Entry* const used = this->in_use(*adapters, where);
    Scratch scratch;
    Matrix<T> weight(this->out_features(), this->in_features());
    this->write_merged(used, this->dora_gains(used, false, where, scratch), weight);
    return weight;
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
  ///
  /// Throws StateError, and is as it was, where an adapter that is not merged holds a part of the
  /// weight (PiSSA ...).
  [[nodiscard]] Unloaded unload() && {
    if (!this->merged())
      Base::require_whole_weight(*this->adapters(), Place{"LoRALinear::unload", this->name()});
    return {std::move(weight_), Vector<T>(bias_.value.reshaped())};
  }

  /// Does what LoRAOverWeight::set_train_bias says; throws ConfigError for projections of a
  /// LoRAMultiheadAttention too, whose biases do not train.
  void set_train_bias(bool train) {
    if (train && is_projection_)
      refuse_bias_training(Place{"LoRALinear::set_train_bias", this->name()});
    Base::set_train_bias(train);
  }

  using Base::in_features;
  using Base::out_features;

 private:
  friend Base;
  friend AdapterOwner<LoRALinear, Adapter>;
  template <class S, class W>
  requires FrozenWeight<W, S>
  friend class LoRALinearGroup;
  template <class S, class W>
  requires FrozenWeight<W, S>
  friend class LoRAMultiheadAttention;

  using Base::bias_;
  using Base::weight_;
  using typename Base::Entry;
  using typename Base::Set;

  static Adapter new_adapter(const Frozen& weight, const LoRAConfig& config, std::uint64_t seed) {
    validate(config, kind);
    return Adapter(weight.out_features(), weight.in_features(), config, seed);
  }

  [[nodiscard]] Adapter make_adapter(const LoRAConfig& config, std::uint64_t seed) const {
    return new_adapter(weight_, config, seed);
  }

  template <class Where>
  void check_adapter(const LoRAConfig& config, const Where& where) const {
    Base::check_adapter(config, where);
    if (is_projection_) require_plain(config, where);
  }

  // Throws ConfigError for settings that PEFT does not have, or does not compute with, in the
  // projections of a LoRAMultiheadAttention.
  template <class Where>
  static void require_plain(const LoRAConfig& config, const Where& where) {
    if (config.use_dora || config.train_bias || config.lora_bias)
      throw ConfigError(message(where, ": ",
                                config.use_dora     ? "use_dora"
                                : config.train_bias ? "train_bias"
                                                    : "lora_bias",
                                " is set, which PEFT does not have for attention's projections"));
  }

  template <class Where>
  [[noreturn]] static void refuse_bias_training(const Where& where) {
    throw ConfigError(message(where,
                              ": the bias would train, which PEFT does not have for "
                              "attention's projections"));
  }

  [[nodiscard]] static ConstMatrixRef<T> ordered_a(const Adapter& adapter, Scratch&) {
    return adapter.a().value;
  }

  // ---- What computing needs ----

  [[nodiscard]] static std::optional<DropoutMask> mask_of(const Entry* used,
                                                          std::uint64_t mask_step) {
    return used == nullptr ? std::nullopt : used->adapter->dropout_mask(mask_step);
  }

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
                   MatrixRef<T> xa, const dora::Gains<T>& gains, MatrixRef<T> z,
                   MatrixRef<T> y) const {
    if (used != nullptr) {
      const low_rank_path::Input<T> input{used->adapter->a().value, xa, mask};
      low_rank_path::forward<T>(x, std::span(&input, 1));
    }
    Scratch scratch;
    const T* const bias = this->bias_row(used, scratch);
    if (gains.exist())
      dora::forward<T>(weight_, x, bias, joins_y(used, xa), mask, gains, z, y);
    else
      frozen_passes::forward<T>(weight_, x, bias, joins_y(used, xa), y);
  }

  [[nodiscard]] static bool freezes_a(const Entry* used) {
    return used != nullptr && !Base::trains_a(used);
  }

  template <class Where>
  [[noreturn]] static void refuse_without_x(const Where& where) {
    throw StateError(message(where,
                             ": the gradient of A needs x: pass it, or freeze A with the "
                             "adapter's freeze_a"));
  }

  // x is null where the caller has none any more.
  void run_backward(const ConstMatrixRef<T>* given_x, ConstMatrixRef<T> dy, Tape<T>& tape,
                    GradientTarget<T> target, const Output<T>* dx) const;

  // ---- Mixed batches ----

  using RoutedBackward = void (LoRALinear::*)(const ConstMatrixRef<T>*, ConstMatrixRef<T>, Tape<T>&,
                                              typename Tape<T>::Frame&, GradientTarget<T>,
                                              const Output<T>*, const Place&) const;

  template <class Where>
  [[nodiscard]] RoutedPaths<T> routed(const Set& adapters, const AdapterRoutes& routes,
                                      const ConstMatrixRef<T>& x, const Where& where) const {
    if (routes.rows() != x.rows())
      throw ShapeError(message(where, ": x is ", shape_of(x), ", expected the ", routes.rows(),
                               " rows of the routes"));
    return RoutedPaths<T>(adapters, *routes.layout(), routes.layers_may_lack_adapters(), where,
                          [&](const Adapter& adapter) { this->check_shape(adapter, where); });
  }

  void run_forward(ConstMatrixRef<T> x, const RoutedPaths<T>& paths, MatrixRef<T> xa,
                   MatrixRef<T> gains, MatrixRef<T> z, MatrixRef<T> y) const {
    grouped_low_rank::forward<T>(paths.groups(), paths.paths(), x, xa);
    if (gains.rows() > 0) {
      RoutedDora<T>(paths, gains).forward(weight_, x, this->bias_row(), xa, z, y);
    } else {
      frozen_passes::forward<T>(weight_, x, this->bias_row(), joins_y(nullptr, xa), y);
      grouped_low_rank::add_to_y<T>(paths.groups(), paths.paths(), xa, y);
    }
    paths.add_b_biases(y);
  }

  void run_routed_backward(const ConstMatrixRef<T>* given_x, ConstMatrixRef<T> dy, Tape<T>& tape,
                           typename Tape<T>::Frame& frame, GradientTarget<T> target,
                           const Output<T>* dx, const Place& where) const {
    const ConstMatrixRef<T> x =
        given_x != nullptr ? *given_x : ConstMatrixRef<T>(nullptr, dy.rows(), 0, 0);
    const auto& then = *static_cast<const Set*>(frame.held(0).get());
    const auto& layout = *static_cast<const AdapterRoutes::Layout*>(frame.held(1).get());
    const auto adapters = this->adapters();
    RoutedPaths<T>::require_same(then, *adapters, layout, where);
    RoutedPaths<T> paths(*adapters, layout, true, where,
                         [&](const Adapter& adapter) { this->check_shape(adapter, where); });
    const bool with_a = paths.trains_a();
    if (with_a && given_x == nullptr) refuse_without_x(where);
    if (with_a) frame.require_input(x, where);
    std::size_t mark = with_a ? 1 : 0;
    paths.for_each([&](const Entry& entry) {
      detail::require_noted_factors(*entry.adapter, frame, mark, where);
      mark += detail::factor_marks(*entry.adapter);
    });
    paths.make_paths(frame.mask_step(), &target);
    std::optional<RoutedDora<T>> dora;
    if (RoutedDora<T>::is_used(paths)) dora.emplace(paths, frame.kept(1), &target);
    const MatrixRef<T> none(nullptr, 0, 0, 0);
    const bool with_bias = this->trains_bias(paths);
    const MatrixRef<T> dbias = with_bias ? target.of(bias_) : none;
    const MatrixRef<T> out =
        dx != nullptr ? dx->shaped(x.rows(), in_features(), where, "dx", {x, dy}) : none;

    if (with_bias) add_bias_gradient<T>(dy, dbias);
    const RowGroups& groups = paths.groups();
    Scratch scratch;
    const MatrixRef<T> g = scratch.matrix<T>(groups.places(), paths.rank());
    const ConstMatrixRef<T> dz =
        dora ? ConstMatrixRef<T>(dora->backward(dy, frame.kept(2), scratch)) : dy;
    grouped_low_rank::gradient_of_xa<T>(groups, paths.paths(), dz, g);
    if (dx != nullptr && dora) {
      dora->gradient_of_x(weight_, dy, dz, g, out);
    } else if (dx != nullptr) {
      frozen_passes::backward<T>(weight_, dy, joins_dx(nullptr, g), out);
      grouped_low_rank::add_to_dx<T>(groups, paths.paths(), g, out);
    }
    grouped_low_rank::add_gradients<T>(groups, paths.paths(), x, dz, frame.kept(), g);
    paths.add_b_bias_gradients(dy);
    tape.pop();
  }

  bool is_projection_ = false;  // of a LoRAMultiheadAttention
};

// Defined outside the class, where they are not inline: a program that links lora::compiled then
// takes them from there and compiles none of what they call.

template <class T, class Frozen>
requires FrozenWeight<Frozen, T>
void LoRALinear<T, Frozen>::forward(ConstMatrixRef<T> x, Output<T> y) const {
  const Place where{"LoRALinear::forward", this->name()};
  const auto adapters = this->adapters();
  const Entry* const used = this->in_use(*adapters, where);
  Scratch scratch;
  const dora::Gains<T> gains = this->dora_gains(used, true, where, scratch);
  const MatrixRef<T> out = checked_output(x, y, where);
  const MatrixRef<T> xa = scratch.matrix<T>(x.rows(), this->rank_of(used));
  run_forward(x, used, {}, xa, gains, out, out);
}

template <class T, class Frozen>
requires FrozenWeight<Frozen, T>
void LoRALinear<T, Frozen>::forward(ConstMatrixRef<T> x, Tape<T>& tape, Output<T> y) const {
  const Place where{"LoRALinear::forward(x, tape, y)", this->name()};
  this->require_unmerged(where);
  const auto adapters = this->adapters();
  const Entry* const used = this->in_use(*adapters, where);
  Scratch scratch;
  dora::Gains<T> gains = this->dora_gains(used, false, where, scratch);
  const MatrixRef<T> out = checked_output(x, y, where);
  auto& frame = tape.push(this, this->name(), x.rows());
  if (!freezes_a(used)) frame.note_input(x);
  if (used != nullptr) detail::note_factors(*used->adapter, frame);
  frame.hold(adapters);
  const MatrixRef<T> xa = frame.keep(x.rows(), this->rank_of(used));
  const MatrixRef<T> z = gains.exist() ? gains.keep(x.rows(), frame) : out;
  run_forward(x, used, mask_of(used, frame.mask_step()), xa, gains, z, out);
}

template <class T, class Frozen>
requires FrozenWeight<Frozen, T>
void LoRALinear<T, Frozen>::forward(ConstMatrixRef<T> x, const AdapterRoutes& routes,
                                    Output<T> y) const {
  const Place where{"LoRALinear::forward(x, routes, y)", this->name()};
  const auto adapters = this->routed_set(routes, where);
  RoutedPaths<T> paths = routed(*adapters, routes, x, where);
  Scratch scratch;
  const MatrixRef<T> gains = this->routed_gains(paths, true, where, scratch);
  const MatrixRef<T> out = checked_output(x, y, where);
  paths.make_paths({});
  run_forward(x, paths, scratch.matrix<T>(paths.groups().places(), paths.rank()), gains, out, out);
}

template <class T, class Frozen>
requires FrozenWeight<Frozen, T>
void LoRALinear<T, Frozen>::forward(ConstMatrixRef<T> x, const AdapterRoutes& routes, Tape<T>& tape,
                                    Output<T> y) const {
  const Place where{"LoRALinear::forward(x, routes, tape, y)", this->name()};
  const auto adapters = this->routed_set(routes, where);
  RoutedPaths<T> paths = routed(*adapters, routes, x, where);
  paths.require_distinct(where);
  Scratch scratch;
  MatrixRef<T> gains = this->routed_gains(paths, false, where, scratch);
  const MatrixRef<T> out = checked_output(x, y, where);
  auto& frame = tape.push(this, this->name(), x.rows());
  if (paths.trains_a()) frame.note_input(x);
  paths.for_each([&](const Entry& entry) { detail::note_factors(*entry.adapter, frame); });
  frame.hold(adapters);
  frame.hold(routes.layout());
  static constexpr RoutedBackward routed_backward = &LoRALinear::run_routed_backward;
  frame.note_backward(&routed_backward);
  paths.make_paths(frame.mask_step());
  const MatrixRef<T> xa = frame.keep(paths.groups().places(), paths.rank());
  run_forward(x, paths, xa, gains, RoutedDora<T>::keep_gains(gains, x.rows(), out, frame), out);
}

template <class T, class Frozen>
requires FrozenWeight<Frozen, T>
void LoRALinear<T, Frozen>::run_backward(const ConstMatrixRef<T>* given_x, ConstMatrixRef<T> dy,
                                         Tape<T>& tape, GradientTarget<T> target,
                                         const Output<T>* dx) const {
  const Place where{"LoRALinear::backward", this->name()};
  this->require_unmerged(where);
  const ConstMatrixRef<T> x =
      given_x != nullptr ? *given_x : ConstMatrixRef<T>(nullptr, dy.rows(), 0, 0);
  if (given_x != nullptr) require_cols(x, in_features(), where, "x", "in_features");
  require_shape(dy, x.rows(), out_features(), where, "dy", "N", "out_features");
  auto& frame = tape.top(this, dy.rows(), where);
  if (const auto* routed = frame.template noted_backward<RoutedBackward>())
    return (this->**routed)(given_x, dy, tape, frame, target, dx, where);
  const auto adapters = this->adapters();
  Base::require_same(*static_cast<const Set*>(frame.held().get()), *adapters, where);
  const Entry* const used = this->in_use(*adapters, where);
  const bool with_a = Base::trains_a(used);
  if (with_a && given_x == nullptr) refuse_without_x(where);
  if (with_a) frame.require_input(x, where);
  if (used != nullptr) detail::require_noted_factors(*used->adapter, frame, with_a ? 1 : 0, where);
  const bool with_bias = this->trains_bias(*adapters);
  const MatrixRef<T> none(nullptr, 0, 0, 0);
  MatrixRef<T> da = with_a ? target.of(used->adapter->a()) : none;
  const MatrixRef<T> db = used != nullptr ? target.of(used->adapter->b()) : none;
  const bool with_dora = dora::is_used_by(used);
  const MatrixRef<T> dm = with_dora ? target.of(used->adapter->magnitude()) : none;
  const MatrixRef<T> dbias = with_bias ? target.of(bias_) : none;
  const bool with_b_bias = Base::has_b_bias(used);
  const MatrixRef<T> db_bias = with_b_bias ? target.of(used->adapter->b_bias()) : none;
  const MatrixRef<T> out =
      dx != nullptr ? dx->shaped(x.rows(), in_features(), where, "dx", {x, dy}) : none;

  if (with_bias) add_bias_gradient<T>(dy, dbias);
  if (with_b_bias) add_bias_gradient<T>(dy, static_cast<T>(used->scaling()), db_bias);
  const MatrixRef<T> xa = frame.kept();
  Scratch scratch;
  const ConstMatrixRef<T> dz = dora::backward<T>(dy, frame, with_dora ? 1 : 0, dm, scratch);
  MatrixRef<T> g = scratch.matrix<T>(dy.rows(), this->rank_of(used));  // dz B
  if (with_a || (used != nullptr && dx != nullptr))
    low_rank_path::gradient_of_xa<T>(dz, used->adapter->b().value, g);
  const auto mask = mask_of(used, frame.mask_step());
  // A mask stands between s g A and dx; without one both come in one pass.
  const bool mixes = mask && with_dora;
  if (dx != nullptr && mixes)
    dora::masked_backward<T>(weight_, dy, dz, joins_dx(used, g), *mask, out);
  else if (dx != nullptr)
    frozen_passes::backward<T>(weight_, dz, joins_dx(used, g.leftCols(mask ? 0 : g.cols())), out);
  if (used != nullptr) {
    const T s = static_cast<T>(used->scaling());
    if (mask && (with_a || (dx != nullptr && !mixes)))
      low_rank_path::backward<T>(x, used->adapter->a().value, g, s, *mask, da, mixes ? none : out);
    const low_rank_path::Gradients<T> path{g, dz, xa, s, da.leftCols(mask ? 0 : da.cols()), db};
    low_rank_path::add_gradients<T>(x, std::span(&path, 1));
  }
  tape.pop();
}

}  // namespace lora
