#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/tape.hpp"
#include "lora/core/trainable_scalar.hpp"
#include "lora/frozen/dense_weight.hpp"
#include "lora/frozen/frozen_passes.hpp"
#include "lora/frozen/frozen_weight.hpp"
#include "lora/kernels/low_rank_gradients.hpp"
#include "lora/kernels/low_rank_path.hpp"
#include "lora/kernels/product.hpp"
#include "lora/layers/lora_adapter.hpp"
#include "lora/layers/lora_config.hpp"
#include "lora/nn/bias_gradient.hpp"
#include "lora/random/dropout_mask.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// Says whether merge() keeps what unmerge() needs.
enum class MergeMode {
  reversible,  ///< keeps a copy of W (out x in) until unmerge(), which gives back its bits
  permanent,   ///< keeps nothing; unmerge() throws
};

/// Wraps a frozen linear layer with a trainable low-rank update (Hu et al., "LoRA", 2021; PEFT
/// 0.21's lora.Linear):
///
///     y = x W^T + b + s drop(x) A^T B^T
///
/// x (N, in), y (N, out), W (out, in) frozen, b (out) optional, A (rank, in), B (out, rank),
/// s = alpha / rank or alpha / sqrt(rank). Dropout is of the low-rank path, in training only.
/// B starts at zero, so a new layer computes what its frozen weight does.
///
/// Const calls may come from several threads at once. A second call of the same shapes allocates
/// nothing. Every check comes before the first change.
template <class T, class Frozen = DenseWeight<T>>
requires FrozenWeight<Frozen, T>
class LoRALinear {
  static_assert(require_trainable_scalar<T>());

 public:
  using Scalar = T;

  /// Wraps `weight` (out, in) with factors drawn from `seed`. `bias` is empty or (out). Throws
  /// ConfigError for settings out of range and ShapeError for a bias that does not fit.
  LoRALinear(Frozen weight, const LoRAConfig& config, std::uint64_t seed, Vector<T> bias = {})
      : weight_(std::move(weight)),
        adapter_(weight_.out_features(), weight_.in_features(), config, seed),
        dropout_random_(seed, RandomStream::dropout),
        scaling_(config.scaling()) {
    if (bias.size() != 0 && bias.size() != out_features())
      throw ShapeError(message("LoRALinear: bias has ", bias.size(),
                               " elements, expected none or out_features = ", out_features()));
    if (config.train_bias && bias.size() == 0)
      throw ConfigError("LoRALinear: train_bias is set, but the layer has no bias");
    bias_ = Parameter<T>("", Matrix<T>(bias.transpose()), {bias.size()});
    set_name("");
  }

  // ---- Computing ----

  /// Computes y for x (N, in) without dropout; y is resized to (N, out). Throws ShapeError.
  void forward(ConstMatrixRef<T> x, Matrix<T>& y) const {
    require_cols(x, in_features(), "LoRALinear::forward", "x", "in_features");
    y.resize(x.rows(), out_features());
    Scratch scratch;
    MatrixRef<T> xa = scratch.matrix<T>(x.rows(), low_rank_is_active() ? rank() : 0);
    if (low_rank_is_active()) low_rank_input(x, {}, xa);
    finish_forward(x, xa, y);
  }

  /// Computes y for x (N, in) with dropout, and leaves on the tape what backward needs:
  /// drop(x) A^T (N, rank). Throws ShapeError, and StateError while merged.
  void forward(ConstMatrixRef<T> x, Tape<T>& tape, Matrix<T>& y) const {
    require_cols(x, in_features(), "LoRALinear::forward", "x", "in_features");
    require_unmerged("LoRALinear::forward(x, tape, y)");
    y.resize(x.rows(), out_features());
    auto& frame = tape.push(this, name(), x.rows());
    const MatrixRef<T> xa = frame.keep(x.rows(), low_rank_is_active() ? rank() : 0);
    if (low_rank_is_active()) low_rank_input(x, dropout_mask(frame.mask_step()), xa);
    finish_forward(x, xa, y);
  }

  /// Adds to the gradients of A, B (and the bias, if trained), and computes the gradient of x:
  ///
  ///     g = dy B,  dB += s dy^T (drop(x) A^T),  dA += s g^T drop(x),
  ///     dx = dy W + (s g A) * mask
  ///
  /// x is the forward's, dy (N, out), dx is resized to (N, in). Throws ShapeError and StateError,
  /// before anything changes.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape, Matrix<T>& dx) {
    check_backward(x, dy, tape);
    dx.resize(x.rows(), in_features());
    run_backward(x, dy, tape, MatrixRef<T>(dx));
  }

  /// Does the same without the gradient of x, as the first layer of a network needs: dy W is not
  /// computed at all.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape) {
    check_backward(x, dy, tape);
    run_backward(x, dy, tape, MatrixRef<T>(nullptr, 0, 0, 0));
  }

  // ---- The adapter ----

  /// Switches the low-rank path on (as it is from the start). Throws StateError while merged.
  void enable_adapter() { set_enabled(true, "LoRALinear::enable_adapter"); }

  /// Switches the low-rank path off: the layer is its frozen weight. Throws StateError while
  /// merged.
  void disable_adapter() { set_enabled(false, "LoRALinear::disable_adapter"); }

  [[nodiscard]] bool adapter_enabled() const { return enabled_; }

  /// Sets the scaling to `factor` times alpha / rank (PEFT's set_scale): 0 silences the adapter, 1
  /// is as trained. Throws ConfigError for a factor that is not finite, StateError while merged.
  void set_scale(double factor) {
    require_unmerged("LoRALinear::set_scale");
    if (!is_finite(factor))
      throw ConfigError(
          message("LoRALinear::set_scale: factor is ", factor, ", expected a finite number"));
    scale_factor_ = factor;
    scaling_ = factor * config().scaling();
  }

  /// Returns the factor s of the low-rank path as it is now.
  [[nodiscard]] double scaling() const { return scaling_; }

  /// Returns the mask that x has in the forward whose frame has this mask_step, or nothing without
  /// dropout.
  [[nodiscard]] std::optional<DropoutMask> dropout_mask(std::uint64_t mask_step) const {
    if (config().dropout == 0) return {};
    return DropoutMask(dropout_random_, mask_step, config().dropout, in_features());
  }

  /// Replaces the adapter's settings and factors, a (rank, in) and b (out, rank): what loading
  /// does; the rank may change. Keeps the factor of set_scale. Throws ConfigError, ShapeError, and
  /// StateError while merged; then nothing has changed.
  void replace_adapter(const LoRAConfig& config, Matrix<T> a, Matrix<T> b) {
    check_replace(config);
    adapter_.replace(config, std::move(a), std::move(b));
    scaling_ = scale_factor_ * config.scaling();
  }

  /// Throws what replace_adapter throws for `config` when the factors have the right shapes.
  void check_replace(const LoRAConfig& config) const {
    require_unmerged("LoRALinear::replace_adapter");
    validate(config, "LoRALinear::replace_adapter");
    if (config.train_bias && !has_bias())
      throw ConfigError("LoRALinear::replace_adapter: train_bias is set, but there is no bias");
  }

  // ---- Merging ----

  /// Adds s B A to W in place, after which forward costs what the frozen weight alone does.
  ///
  /// Needs memory that may be written: a MappedWeight that borrows for reading only is refused.
  /// Throws StateError if merged already, switched off, or read-only.
  void merge(MergeMode mode = MergeMode::reversible) requires MergeableWeight<Frozen, T> {
    require_unmerged("LoRALinear::merge");
    if (!enabled_) throw StateError("LoRALinear::merge: the adapter is switched off");
    if (!weight_.writable())
      throw StateError(
          "LoRALinear::merge: the frozen weight's memory is read-only; merged_weight() gives the "
          "merged weight as a matrix of its own");
    if (mode == MergeMode::reversible) original_ = weight_.dense();
    weight_.add_low_rank(static_cast<T>(scaling_), adapter_.b().value, adapter_.a().value);
    merge_mode_ = mode;
    merged_ = true;
  }

  /// Gives W back the bits that it had before merge(). Throws StateError unless merged reversibly.
  void unmerge() requires MergeableWeight<Frozen, T> {
    if (!merged_) throw StateError("LoRALinear::unmerge: the adapter is not merged");
    if (merge_mode_ == MergeMode::permanent)
      throw StateError("LoRALinear::unmerge: the adapter was merged with MergeMode::permanent");
    weight_.assign(original_);
    original_ = Matrix<T>();
    merged_ = false;
  }

  [[nodiscard]] bool merged() const { return merged_; }

  /// Returns W + s B A (out, in) as a matrix of its own; leaves the layer as it is, so it serves
  /// read-only weights too. While merged: W as it is.
  [[nodiscard]] Matrix<T> merged_weight() const {
    Matrix<T> merged = weight_.dense();
    if (!merged_)
      add_product(merged, static_cast<T>(scaling_), adapter_.b().value, adapter_.a().value);
    return merged;
  }

  // ---- What it is made of ----

  [[nodiscard]] Index in_features() const { return weight_.in_features(); }
  [[nodiscard]] Index out_features() const { return weight_.out_features(); }
  [[nodiscard]] Index rank() const { return adapter_.rank(); }
  [[nodiscard]] const LoRAConfig& config() const { return adapter_.config(); }
  [[nodiscard]] const Frozen& weight() const { return weight_; }
  [[nodiscard]] bool has_bias() const { return bias_.value.size() != 0; }

  /// Returns the bias (1, out), or an empty matrix.
  [[nodiscard]] const Parameter<T>& bias() const { return bias_; }
  [[nodiscard]] Parameter<T>& bias() { return bias_; }

  [[nodiscard]] const LoRAAdapter<T>& adapter() const { return adapter_; }

  /// Returns the factors, for reading gradients and for setting values. Use replace_adapter to
  /// change the settings.
  [[nodiscard]] Parameter<T>& lora_A() { return adapter_.a(); }
  [[nodiscard]] Parameter<T>& lora_B() { return adapter_.b(); }
  [[nodiscard]] const Parameter<T>& lora_A() const { return adapter_.a(); }
  [[nodiscard]] const Parameter<T>& lora_B() const { return adapter_.b(); }

  [[nodiscard]] const std::string& name() const { return adapter_.name(); }

  /// Names the layer by its path in the model, as PEFT does; parameters and files use it.
  void set_name(const std::string& name) {
    std::string bias_name = name.empty() ? "base_layer.bias" : name + ".base_layer.bias";
    adapter_.set_name(name);
    bias_.name = std::move(bias_name);
  }

  /// Lists what trains: A, B, and the bias with train_bias.
  [[nodiscard]] ParameterList<T> parameters() {
    ParameterList<T> list;
    list.add(adapter_.a());
    list.add(adapter_.b());
    if (config().train_bias) list.add(bias_);
    return list;
  }

  /// Returns the number of scalars that train: rank (in + out), and out with train_bias.
  [[nodiscard]] Index trainable_parameters() const {
    return rank() * (in_features() + out_features()) +
           (config().train_bias ? out_features() : Index{0});
  }

  /// Returns the number of scalars of W, bias, A and B together.
  [[nodiscard]] Index total_parameters() const {
    return in_features() * out_features() + bias_.size() +
           rank() * (in_features() + out_features());
  }

 private:
  [[nodiscard]] bool low_rank_is_active() const { return enabled_ && !merged_; }

  void low_rank_input(ConstMatrixRef<T> x, const std::optional<DropoutMask>& mask,
                      MatrixRef<T> xa) const {
    const low_rank_path::Input<T> input{adapter_.a().value, xa, mask};
    low_rank_path::forward<T>(x, std::span(&input, 1));
  }

  // y = b + x W^T + s xa B^T, without the last term where xa has no columns.
  void finish_forward(ConstMatrixRef<T> x, ConstMatrixRef<T> xa, MatrixRef<T> y) const {
    const FixedMatrix<T>& b = adapter_.b().value;
    frozen_passes::forward<T>(
        weight_, x, has_bias() ? bias_.value.data() : nullptr,
        {xa, kernels::columns_of(b.data(), b.outerStride(), false), static_cast<T>(scaling_)}, y);
  }

  void check_backward(const ConstMatrixRef<T>& x, const ConstMatrixRef<T>& dy,
                      Tape<T>& tape) const {
    constexpr const char* where = "LoRALinear::backward";
    require_unmerged(where);
    require_cols(x, in_features(), where, "x", "in_features");
    require_shape(dy, x.rows(), out_features(), where, "dy");
    const Index cols = tape.top(this, dy.rows(), where).kept().cols();
    if (cols != 0 && cols != rank())
      throw StateError(message(where, ": the rank was ", cols, " in forward and is ", rank(),
                               " now: the adapter was replaced in between"));
  }

  // Adds the gradients of what trains, and computes dx if it has rows.
  void run_backward(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, Tape<T>& tape, MatrixRef<T> dx) {
    auto& frame = tape.top(this, dy.rows(), "LoRALinear::backward");
    const bool wants_dx = dx.cols() > 0;
    if (config().train_bias) add_bias_gradient<T>(dy, bias_.grad);
    // As it was in forward, whatever was switched since.
    const Index r = frame.kept().cols();
    const T s = static_cast<T>(scaling_);
    const FixedMatrix<T>& a = adapter_.a().value;
    const MatrixRef<T> xa = frame.kept();
    Scratch scratch;
    MatrixRef<T> g = scratch.matrix<T>(dy.rows(), r);  // dy B
    if (r != 0) low_rank_path::gradient_of_xa<T>(dy, adapter_.b().value, g);
    const auto mask = r != 0 ? dropout_mask(frame.mask_step()) : std::nullopt;
    // A mask stands between s g A and dx; without one both come in one pass.
    const ConstMatrixRef<T> joined = g.leftCols(mask ? 0 : r);
    if (wants_dx)
      frozen_passes::backward<T>(
          weight_, dy, {joined, kernels::columns_of(a.data(), a.outerStride(), true), s}, dx);
    if (mask) low_rank_path::backward<T>(x, a, g, s, *mask, adapter_.a().grad, dx);
    if (r != 0) {
      MatrixRef<T> da = adapter_.a().grad;
      const low_rank_path::Gradients<T> path{
          g, dy, xa, s, da.leftCols(mask ? 0 : da.cols()), adapter_.b().grad};
      low_rank_path::add_gradients<T>(x, std::span(&path, 1));
    }
    tape.pop();
  }

  void set_enabled(bool enabled, const char* where) {
    require_unmerged(where);
    enabled_ = enabled;
  }

  void require_unmerged(const char* where) const {
    if (merged_)
      throw StateError(message(where, ": the adapter is merged into the weight: unmerge() first"));
  }

  Frozen weight_;
  LoRAAdapter<T> adapter_;
  Parameter<T> bias_;
  Random dropout_random_;
  double scaling_;
  double scale_factor_ = 1;
  bool enabled_ = true;
  bool merged_ = false;
  MergeMode merge_mode_ = MergeMode::reversible;
  Matrix<T> original_;
};

}  // namespace lora
