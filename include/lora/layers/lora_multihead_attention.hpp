#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "lora/core/gradients.hpp"
#include "lora/core/output.hpp"
#include "lora/core/parameter_list.hpp"
#include "lora/core/place.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/tape.hpp"
#include "lora/frozen/dense_weight.hpp"
#include "lora/layers/lora_linear.hpp"
#include "lora/nn/attention.hpp"
#include "lora/nn/sequences.hpp"

namespace lora {

/// The settings of a LoRAMultiheadAttention.
struct MultiheadAttentionConfig {
  Index heads = 1;         ///< a divisor of the embedding's size E
  bool causal = false;     ///< a token sees itself and what stands before it
  double dropout = 0;      ///< in [0, 1): of the probabilities, in training
  std::uint64_t seed = 0;  ///< of that dropout

  /// Multiplies the scaling of out_proj's adapters: PEFT 0.21.2 adds their update twice in forward
  /// and when it merges, though its gradients are those of one. 1 is what its formulas say.
  double out_proj_factor = 2;
};

/// Self-attention as torch.nn.MultiheadAttention has it, frozen, with LoRA on both of its
/// projections (PEFT 0.21's lora.MultiheadAttention), so that adapters go from PEFT's files and
/// back:
///
///     [q k v] = in_proj(x),  y = out_proj(attention(q, k, v))
///
/// x and y are (N, E), one row a token, batch first; in_proj (3 E, E) is one linear layer with one
/// A and B, out_proj (E, E) another. set_name("attn") calls them "attn" and
/// "attn.base_layer.out_proj", as PEFT's tensors are called. See Attention for what is computed:
/// padding is neither seen nor computed.
///
/// Both projections are LoRALinears of their own, part(0) and part(1), which merge, and are saved
/// and loaded together, as a group's. All adapters of out_proj have its factor, whoever adds or
/// activates them: this, a file, an AdapterRegistry over the parts, or the routes of a mixed batch.
/// PEFT has neither DoRA nor biases that train nor the dropout of the low-rank path here, and
/// computes without in_proj's lora_bias: all but the dropout are refused, when an adapter is loaded
/// and by the parts' set_train_bias too; the dropout works in training, and is written to files.
/// Calls may run at once as those of a LoRALinear may, and a second one of the same shapes
/// allocates nothing.
template <class T, class Frozen = DenseWeight<T>>
requires FrozenWeight<Frozen, T>
class LoRAMultiheadAttention {
 public:
  using Scalar = T;
  using Part = LoRALinear<T, Frozen>;

  /// Takes in_proj (in_proj_weight and in_proj_bias) and out_proj. Throws ShapeError for sizes that
  /// do not fit each other, ConfigError for heads that do not divide E, settings out of range and
  /// adapters with use_dora, train_bias or lora_bias and biases that set_train_bias lets train.
  LoRAMultiheadAttention(Part in_proj, Part out_proj, const MultiheadAttentionConfig& config)
      : factor_((check(in_proj, out_proj, config), config.out_proj_factor)),
        in_proj_(std::move(in_proj)),
        out_proj_(std::move(out_proj)),
        attention_(attention_config(out_proj_.out_features(), config), config.seed) {
    in_proj_.is_projection_ = out_proj_.is_projection_ = true;
    out_proj_.set_layer_factor(factor_);
  }

  [[nodiscard]] static constexpr std::size_t size() { return 2; }

  /// Returns in_proj or out_proj.
  [[nodiscard]] Part& part(std::size_t p) { return p == 0 ? in_proj_ : out_proj_; }
  [[nodiscard]] const Part& part(std::size_t p) const { return p == 0 ? in_proj_ : out_proj_; }

  [[nodiscard]] Index in_features() const { return in_proj_.in_features(); }
  [[nodiscard]] Index out_features() const { return out_proj_.out_features(); }
  [[nodiscard]] const std::string& name() const { return in_proj_.name(); }

  /// Returns what multiplies the scaling of out_proj's adapters.
  [[nodiscard]] double out_proj_factor() const { return factor_; }

  /// Names the module, and both projections as PEFT does.
  void set_name(const std::string& name) {
    in_proj_.set_name(name);
    out_proj_.set_name(name.empty() ? name : name + ".base_layer.out_proj");
    attention_.set_name(name);
  }

  /// Gives both projections an adapter of this name, drawn from `seed` and the one after it, and
  /// makes it the active one. Throws ConfigError for settings out of range, use_dora, train_bias,
  /// lora_bias and a name that is taken in one of them, StateError while one is merged; then
  /// nothing has changed.
  void add_adapter(const std::string& name, const LoRAConfig& config, std::uint64_t seed) {
    Part::require_plain(config, Place{"LoRAMultiheadAttention::add_adapter", this->name()});
    for (const Part* part : {&in_proj_, &out_proj_}) part->check_add(name, config);
    in_proj_.add_adapter(name, config, seed);
    out_proj_.add_adapter(name, config, seed + 1);
    set_adapter(name);
  }

  /// Makes the adapter of this name the active one of both. Throws ConfigError if one of them has
  /// none, StateError while one is merged; then nothing has changed.
  void set_adapter(std::string_view name) {
    for (const Part* part : {&in_proj_, &out_proj_}) part->check_set(name);
    in_proj_.set_adapter(name);
    out_proj_.set_adapter(name);
  }

  /// Lists what trains in both projections.
  [[nodiscard]] ParameterList<T> parameters() {
    ParameterList<T> all;
    all.add(in_proj_.parameters());
    all.add(out_proj_.parameters());
    return all;
  }

  /// Computes y (N, E) for x (N, E), whose rows `sequences` divides, without dropout. Throws
  /// ShapeError.
  void forward(ConstMatrixRef<T> x, const Sequences& sequences, Output<T> y) const {
    const MatrixRef<T> out = checked_output(x, sequences, y, "LoRAMultiheadAttention::forward");
    Scratch scratch;
    const MatrixRef<T> qkv = scratch.matrix<T>(x.rows(), 3 * x.cols());
    const MatrixRef<T> context = scratch.matrix<T>(x.rows(), x.cols());
    in_proj_.forward(x, qkv);
    attention_.forward(column(qkv, 0), column(qkv, 1), column(qkv, 2), sequences, context);
    out_proj_.forward(context, out);
  }

  /// Computes y with dropout, and leaves on the tape what backward needs. x stays as it is until
  /// then. Throws ShapeError, and StateError while merged.
  void forward(ConstMatrixRef<T> x, const Sequences& sequences, Tape<T>& tape, Output<T> y) const {
    const Place where{"LoRAMultiheadAttention::forward(x, sequences, tape, y)", name()};
    for (const Part* part : {&in_proj_, &out_proj_})
      if (part->merged())
        throw StateError(message(where, ": an adapter is merged: unmerge() both parts first"));
    const MatrixRef<T> out = checked_output(x, sequences, y, where);
    auto& frame = tape.push(this, name(), x.rows());
    frame.note_input(x);
    const MatrixRef<T> qkv = frame.keep(x.rows(), 3 * x.cols());
    const MatrixRef<T> context = frame.keep(x.rows(), x.cols());
    in_proj_.forward(x, tape, qkv);
    attention_.forward(column(qkv, 0), column(qkv, 1), column(qkv, 2), sequences, tape, context);
    out_proj_.forward(context, tape, out);
  }

  /// Adds to the gradients of both adapters, and computes dx (N, E) for
  /// dy (N, E). x and sequences are the forward's. Throws ShapeError and StateError.
  void backward(ConstMatrixRef<T> x, const Sequences& sequences, ConstMatrixRef<T> dy,
                Tape<T>& tape, Output<T> dx) {
    run_backward(x, sequences, dy, tape, GradientTarget<T>::own(), dx);
  }

  /// Does the same, but adds to `gradients`, a `Gradients<T>` made from parameters().
  void backward(ConstMatrixRef<T> x, const Sequences& sequences, ConstMatrixRef<T> dy,
                Tape<T>& tape, GradientTarget<T> gradients, Output<T> dx) const {
    run_backward(x, sequences, dy, tape, gradients, dx);
  }

 private:
  static void check(const Part& in_proj, const Part& out_proj,
                    const MultiheadAttentionConfig& config) {
    const Place where{"LoRAMultiheadAttention", in_proj.name()};
    const Index e = in_proj.in_features();
    if (in_proj.out_features() != 3 * e || out_proj.in_features() != e ||
        out_proj.out_features() != e)
      throw ShapeError(message(where, ": in_proj is (", in_proj.out_features(), ", ", e,
                               ") and out_proj (", out_proj.out_features(), ", ",
                               out_proj.in_features(), "), expected (3 E, E) and (E, E)"));
    if (config.heads < 1 || e % config.heads != 0)
      throw ConfigError(
          message(where, ": heads is ", config.heads, ", expected a divisor of E = ", e));
    require_finite(config.out_proj_factor, where, "out_proj_factor");
    for (const Part* part : {&in_proj, &out_proj}) {
      for (const auto& entry : part->adapters()->entries())
        Part::require_plain(entry.adapter->config(), where);
      if (part->trains_bias()) Part::refuse_bias_training(where);
    }
  }

  static AttentionConfig attention_config(Index e, const MultiheadAttentionConfig& config) {
    return {.heads = config.heads,
            .head_features = e / config.heads,
            .causal = config.causal,
            .dropout = config.dropout};
  }

  // Queries, keys or values.
  [[nodiscard]] static MatrixRef<T> column(const MatrixRef<T>& qkv, Index part) {
    const Index e = qkv.cols() / 3;
    return {const_cast<T*>(qkv.data()) + part * e, qkv.rows(), e, qkv.outerStride()};
  }

  template <class Where>
  [[nodiscard]] MatrixRef<T> checked_output(const ConstMatrixRef<T>& x, const Sequences& sequences,
                                            const Output<T>& y, const Where& where) const {
    require_shape(x, sequences.rows(), in_features(), where, "x", "rows of the sequences", "E");
    return y.shaped(x.rows(), x.cols(), where, "y", {x});
  }

  void run_backward(ConstMatrixRef<T> x, const Sequences& sequences, ConstMatrixRef<T> dy,
                    Tape<T>& tape, GradientTarget<T> target, const Output<T>& dx) const {
    const Place where{"LoRAMultiheadAttention::backward", name()};
    require_shape(x, sequences.rows(), in_features(), where, "x", "rows of the sequences", "E");
    require_shape(dy, x.rows(), x.cols(), where, "dy", {}, "E");
    auto& frame = tape.find(this, where);
    frame.require_input(x, where);
    const MatrixRef<T> qkv = frame.kept(0), context = frame.kept(1);
    const MatrixRef<T> to = dx.shaped(x.rows(), x.cols(), where, "dx", {x, dy});
    Scratch scratch;
    const MatrixRef<T> dcontext = scratch.matrix<T>(x.rows(), x.cols());
    const MatrixRef<T> dqkv = scratch.matrix<T>(x.rows(), 3 * x.cols());
    out_proj_.backward(context, dy, tape, target, dcontext);
    attention_.backward(column(qkv, 0), column(qkv, 1), column(qkv, 2), dcontext, sequences, tape,
                        column(dqkv, 0), column(dqkv, 1), column(dqkv, 2));
    in_proj_.backward(x, dqkv, tape, target, to);
    static_cast<void>(tape.top(this, x.rows(), where));
    tape.pop();
  }

  double factor_;  // first: a layer there would have this one's address, by which a tape knows both
  Part in_proj_;
  Part out_proj_;
  Attention<T> attention_;
};

}  // namespace lora
