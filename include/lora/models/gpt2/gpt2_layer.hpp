#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "lora/core/elementwise.hpp"
#include "lora/core/scratch.hpp"
#include "lora/models/common/decoder_rows.hpp"
#include "lora/models/common/module_layer_norm.hpp"
#include "lora/models/common/module_linear.hpp"
#include "lora/models/gpt2/gpt2_config.hpp"
#include "lora/nn/activation.hpp"
#include "lora/nn/attention.hpp"
#include "lora/nn/dropout.hpp"

namespace lora::models {

/// The activations of one layer of GPT-2: N tokens, Q of them computed, D features, F of the
/// feed-forward half. They lie on the tape where a backward needs them, else in scratch memory.
template <class T>
struct GPT2LayerActivations {
  MatrixRef<T> qkv;      // (N, 3 D), queries, keys and values side by side
  MatrixRef<T> some_q;   // (Q, D), the queries that are computed; empty where all are
  MatrixRef<T> context;  // (Q, D), attention's output
  MatrixRef<T> middle;   // (Q, D), h, the output of the first half
  MatrixRef<T> inner;    // (Q, F), before the activation
};

/// One layer of GPT-2 (transformers' GPT2Block):
///
///     h = x + drop(c_proj(attention(c_attn(norm(x))))),  y = h + drop(c_proj(f(c_fc(norm(h)))))
///
/// x (N, D), h and y (Q, D). Backward keeps the activations above; the norms' outputs, f and the
/// dropout masks are computed again.
template <class T, class Frozen>
class GPT2Layer {
 public:
  using Scalar = T;
  using Rows = DecoderRows<T>;

  /// Loads layer `i`; the last one may compute some rows alone. Throws FileError and ConfigError.
  GPT2Layer(ModelBuilder<T>& builder, const GPT2Config& config, Index i)
      : name_(message("transformer.h.", i)),
        features_(config.n_embd),
        width_(config.n_inner),
        activation_(config.activation_function),
        attention_norm_(builder, name_ + ".ln_1", config.n_embd, config.layer_norm_epsilon),
        qkv_(builder, name_ + ".attn.c_attn", conv1d(builder, 3 * config.n_embd, config.n_embd)),
        attention_({.heads = config.n_head,
                    .head_features = config.head_features(),
                    .causal = true,
                    .dropout = config.attn_pdrop,
                    .scaling = config.attention_scaling(i)},
                   builder.next_seed()),
        attention_output_(builder, name_ + ".attn.c_proj",
                          conv1d(builder, config.n_embd, config.n_embd)),
        attention_dropout_(config.resid_pdrop, builder.next_seed()),
        middle_norm_(builder, name_ + ".ln_2", config.n_embd, config.layer_norm_epsilon),
        up_(builder, name_ + ".mlp.c_fc", conv1d(builder, config.n_inner, config.n_embd)),
        down_(builder, name_ + ".mlp.c_proj", conv1d(builder, config.n_embd, config.n_inner)),
        output_dropout_(config.resid_pdrop, builder.next_seed()) {
    attention_.set_name(name_ + ".attn");
    attention_dropout_.set_name(name_ + ".attn.resid_dropout");
    output_dropout_.set_name(name_ + ".mlp.dropout");
  }

  /// Computes y (Q, D), which is not x (N, D). With a tape with dropout, and what backward needs
  /// besides x is kept there.
  void forward(ConstMatrixRef<T> x, const Rows& rows, Tape<T>* tape, MatrixRef<T> y) const {
    Scratch scratch;
    auto* const frame = tape == nullptr ? nullptr : &tape->push(this, name_, rows.count());
    const auto a = laid_out(rows, x.rows(), [&](Index n, Index m) {
      return frame == nullptr ? scratch.matrix<T>(n, m) : frame->keep(n, m);
    });
    project(x, tape, a, rows.routes);
    const MatrixRef<T> k = part(a.qkv, 1), v = part(a.qkv, 2);
    if (!rows.all()) rows.take(part(a.qkv, 0), a.some_q);
    const ConstMatrixRef<T> q = queries(rows, a);
    tape == nullptr ? attention_.forward(q, k, v, *rows.queries, *rows.keys, a.context)
                    : attention_.forward(q, k, v, *rows.queries, *rows.keys, *tape, a.context);
    finish(rows.taken(x, scratch), tape, a, rows.query_routes, y);
  }

  /// Computes y (N, D) for new tokens whose predecessors lie in the cache's layer `i`, to which
  /// their keys and values are appended.
  void decode(ConstMatrixRef<T> x, ConstMatrixRef<T>, std::span<const int> counts,
              KVCache<T>& cache, Index i, MatrixRef<T> y,
              const AdapterRoutes* routes = nullptr) const {
    Scratch scratch;
    const auto a =
        laid_out(Rows{}, x.rows(), [&](Index n, Index m) { return scratch.matrix<T>(n, m); });
    project(x, nullptr, a, routes);
    cache.append(i, counts, part(a.qkv, 1), part(a.qkv, 2));
    attention_.forward(part(a.qkv, 0), cache, i, counts, a.context);
    finish(x, nullptr, a, routes, y);
  }

  /// Adds to the gradients of what trains and, unless dx is null, computes the gradient of x (N, D)
  /// there, from that of y, dy (Q, D), which is working memory afterwards. x and rows are the
  /// forward's. dx is dy itself where all rows are computed, and is not otherwise.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T>, const Rows& rows, Tape<T>& tape,
                GradientTarget<T> target, MatrixRef<T> dy, const MatrixRef<T>* dx) const {
    constexpr const char* where = "GPT2Layer::backward";
    auto& frame = tape.find(this, where);
    std::size_t next = 0;
    const auto a = laid_out(rows, x.rows(), [&](Index, Index) { return frame.kept(next++); });
    Scratch scratch;
    const auto like = [&](const ConstMatrixRef<T>& m) {
      return scratch.matrix<T>(m.rows(), m.cols());
    };
    const MatrixRef<T> dmiddle = like(a.middle), branch = like(a.middle);
    {
      Scratch wide;
      const ConstMatrixRef<T> doutput = undrop(output_dropout_, dy, tape, branch);
      const MatrixRef<T> active = wide.matrix<T>(a.inner.rows(), a.inner.cols());
      const MatrixRef<T> dinner = wide.matrix<T>(a.inner.rows(), a.inner.cols());
      if (down_.needs_input() || needs_output(activation_))
        activate<T>(activation_, a.inner, active);
      down_.backward(active, doutput, tape, target, dinner);
      activate_backward<T>(activation_, a.inner, active, dinner, dinner);
      const MatrixRef<T> normed = wide.matrix<T>(a.middle.rows(), a.middle.cols());
      if (up_.needs_input()) middle_norm_.forward(a.middle, nullptr, normed);
      up_.backward(normed, dinner, tape, target, dmiddle);
      middle_norm_.backward(a.middle, dmiddle, tape, target, dmiddle);
    }
    add_to<T>(dy, dmiddle);

    const MatrixRef<T> dcontext = like(a.context), dqkv = like(a.qkv);
    attention_output_.backward(a.context, undrop(attention_dropout_, dmiddle, tape, branch), tape,
                               target, dcontext);
    backward_attention(rows, a, dcontext, tape, dqkv);
    const MatrixRef<T> normed = like(x);
    if (qkv_.needs_input()) attention_norm_.forward(x, nullptr, normed);
    if (dx != nullptr || attention_norm_.trains()) {
      const MatrixRef<T> dnormed = dx != nullptr ? *dx : like(x);
      qkv_.backward(normed, dqkv, tape, target, dnormed);
      attention_norm_.backward(x, dnormed, tape, target, dnormed);
      if (dx != nullptr) rows.add(dmiddle, dnormed);
    } else {
      qkv_.backward(normed, dqkv, tape, target);
      attention_norm_.backward(x, normed, tape, target);
    }
    static_cast<void>(tape.top(this, rows.count(), where));
    tape.pop();
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    for (auto* module : {&qkv_, &attention_output_, &up_, &down_}) module->list(list);
    attention_norm_.list(list);
    middle_norm_.list(list);
  }

  /// Tells whether a forward with a tape computes something else than one without.
  [[nodiscard]] bool has_dropout() const {
    return attention_.config().dropout > 0 || output_dropout_.p() > 0;
  }

  /// Calls action(layer) with each LoRALinear that has an adapter.
  template <class Action>
  void for_each_adapted(const Action& action) {
    for (auto* module : {&qkv_, &attention_output_, &up_, &down_}) module->for_each_adapted(action);
  }

 private:
  static LinearSizes conv1d(const ModelBuilder<T>& builder, Index out, Index in) {
    return {.out = out, .in = in, .layout = builder.weights.conv1d_layout()};
  }

  // Lays the activations out in the memory that place(rows, cols) gives, in this order.
  template <class Place>
  [[nodiscard]] GPT2LayerActivations<T> laid_out(const Rows& rows, Index tokens,
                                                 const Place& place) const {
    const Index queries = rows.all() ? tokens : rows.count();
    return {.qkv = place(tokens, 3 * features_),
            .some_q = place(rows.all() ? 0 : queries, features_),
            .context = place(queries, features_),
            .middle = place(queries, features_),
            .inner = place(queries, width_)};
  }

  // Returns queries (0), keys (1) or values (2).
  [[nodiscard]] MatrixRef<T> part(MatrixRef<T> qkv, Index number) const {
    return MatrixRef<T>(qkv.middleCols(number * features_, features_));
  }

  [[nodiscard]] ConstMatrixRef<T> queries(const Rows& rows,
                                          const GPT2LayerActivations<T>& a) const {
    return rows.all() ? part(a.qkv, 0) : a.some_q;
  }

  // Computes queries, keys and values of x.
  void project(ConstMatrixRef<T> x, Tape<T>* tape, const GPT2LayerActivations<T>& a,
               const AdapterRoutes* routes) const {
    Scratch scratch;
    const MatrixRef<T> normed = scratch.matrix<T>(x.rows(), x.cols());
    attention_norm_.forward(x, tape, normed);
    apply(qkv_, normed, tape, routes, a.qkv);
  }

  // Computes y from attention's output; x is (Q, D) here.
  void finish(ConstMatrixRef<T> x, Tape<T>* tape, const GPT2LayerActivations<T>& a,
              const AdapterRoutes* routes, MatrixRef<T> y) const {
    Scratch scratch;
    attention_output_.forward(a.context, tape, a.middle, routes);
    drop(attention_dropout_, tape, a.middle);
    add_to<T>(x, a.middle);
    const MatrixRef<T> normed = scratch.matrix<T>(a.middle.rows(), a.middle.cols());
    middle_norm_.forward(a.middle, tape, normed);
    apply(up_, normed, tape, routes, a.inner);
    const MatrixRef<T> active =
        tape == nullptr ? a.inner : scratch.matrix<T>(a.inner.rows(), a.inner.cols());
    activate<T>(activation_, a.inner, active);
    apply(down_, active, tape, routes, y);
    drop(output_dropout_, tape, y);
    add_to<T>(a.middle, y);
  }

  // Computes the gradient of queries, keys and values from that of attention's output, which is
  // working memory afterwards.
  void backward_attention(const Rows& rows, const GPT2LayerActivations<T>& a, MatrixRef<T> dcontext,
                          Tape<T>& tape, MatrixRef<T> dqkv) const {
    MatrixRef<T> dq = part(dqkv, 0);
    attention_.backward(queries(rows, a), part(a.qkv, 1), part(a.qkv, 2), dcontext, *rows.queries,
                        *rows.keys, tape, rows.all() ? dq : dcontext, part(dqkv, 1), part(dqkv, 2));
    if (rows.all()) return;
    dq.setZero();
    rows.add(dcontext, dq);
  }

  // Computes y of x, which backward computes again.
  static void apply(const ModuleLinear<T, Frozen>& module, ConstMatrixRef<T> x, Tape<T>* tape,
                    const AdapterRoutes* routes, MatrixRef<T> y) {
    module.forward(x, tape, y, routes);
    if (tape != nullptr) tape->newest().allow_copies();
  }

  // Without dropout there is nothing to note and nothing to copy.
  static void drop(const Dropout<T>& dropout, Tape<T>* tape, MatrixRef<T> x) {
    if (tape != nullptr && dropout.p() > 0) dropout.forward(x, *tape, x);
  }

  // Returns the gradient of what went through dropout: d itself, or `branch`.
  static ConstMatrixRef<T> undrop(const Dropout<T>& dropout, MatrixRef<T> d, Tape<T>& tape,
                                  MatrixRef<T> branch) {
    if (dropout.p() == 0) return d;
    dropout.backward(d, tape, branch);
    return branch;
  }

  std::string name_;
  Index features_;  // D
  Index width_;     // F
  Activation activation_;
  ModuleLayerNorm<T> attention_norm_;
  ModuleLinear<T, Frozen> qkv_;
  Attention<T> attention_;
  ModuleLinear<T, Frozen> attention_output_;
  Dropout<T> attention_dropout_;
  ModuleLayerNorm<T> middle_norm_;
  ModuleLinear<T, Frozen> up_;
  ModuleLinear<T, Frozen> down_;
  Dropout<T> output_dropout_;
};

}  // namespace lora::models
