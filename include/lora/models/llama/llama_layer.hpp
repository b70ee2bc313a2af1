#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lora/core/elementwise.hpp"
#include "lora/core/scratch.hpp"
#include "lora/models/common/decoder_rows.hpp"
#include "lora/models/common/module_group.hpp"
#include "lora/models/common/module_rms_norm.hpp"
#include "lora/models/llama/llama_config.hpp"
#include "lora/nn/attention.hpp"
#include "lora/nn/gated_activation.hpp"
#include "lora/nn/rotary.hpp"

namespace lora::models {

/// The activations of one layer of Llama: N tokens, Q of them computed, D features, H and K heads
/// of E features for queries and keys, F features of the feed-forward half. They lie on the tape
/// where a backward needs them, else in scratch memory.
template <class T>
struct LlamaLayerActivations {
  MatrixRef<T> q;        // (Q, H E), turned
  MatrixRef<T> k;        // (N, K E), turned
  MatrixRef<T> v;        // (N, K E)
  MatrixRef<T> raw_q;    // (Q, H E), before the norm of its heads; empty where there is none
  MatrixRef<T> raw_k;    // (N, K E), likewise
  MatrixRef<T> context;  // (Q, H E), attention's output
  MatrixRef<T> middle;   // (Q, D), h, the output of the first half
  MatrixRef<T> gate;     // (Q, F)
  MatrixRef<T> up;       // (Q, F)
};

/// One layer of a decoder of Llama's family (transformers' LlamaDecoderLayer, MistralDecoderLayer,
/// Qwen2DecoderLayer, Qwen3DecoderLayer):
///
///     h = x + o(attention(rope(q(n)), rope(k(n)), v(n))),  n = norm(x)
///     y = h + down(f(gate(m)) up(m)),                      m = norm(h)
///
/// x (N, D), h and y (Q, D). Backward keeps the activations above; the norms' outputs and
/// f(gate) up are computed again.
template <class T, class Frozen>
class LlamaLayer {
 public:
  using Scalar = T;
  using Rows = DecoderRows<T>;

  /// Loads layer `i`; the last one may compute some rows alone. Throws FileError and ConfigError.
  LlamaLayer(ModelBuilder<T>& builder, const LlamaConfig& config, Index i)
      : name_(message("model.layers.", i)),
        last_(i + 1 == config.num_hidden_layers),
        features_(config.hidden_size),
        width_(config.intermediate_size),
        activation_(config.hidden_act),
        attention_norm_(builder, name_ + ".input_layernorm", config.hidden_size,
                        config.rms_norm_eps),
        queries_(builder, parts(config, last_ ? "q" : "")),
        keys_(builder, parts(config, last_ ? "kv" : "qkv")),
        attention_({.heads = config.num_attention_heads,
                    .head_features = config.head_dim,
                    .kv_heads = config.num_key_value_heads,
                    .causal = true,
                    .window = config.window(i),
                    .dropout = config.attention_dropout},
                   builder.next_seed()),
        rotary_(config.head_dim, config.rope),
        output_(builder, name_ + ".self_attn.o_proj",
                {config.hidden_size, config.query_features(), config.output_bias}),
        middle_norm_(builder, name_ + ".post_attention_layernorm", config.hidden_size,
                     config.rms_norm_eps),
        gate_up_(builder, {{name_ + ".mlp.gate_proj", mlp_sizes(config)},
                           {name_ + ".mlp.up_proj", mlp_sizes(config)}}),
        down_(builder, name_ + ".mlp.down_proj",
              {config.hidden_size, config.intermediate_size, config.mlp_bias}) {
    attention_.set_name(name_ + ".self_attn");
    if (!config.query_key_norm) return;
    query_norm_.emplace(builder, name_ + ".self_attn.q_norm", config.head_dim, config.rms_norm_eps);
    key_norm_.emplace(builder, name_ + ".self_attn.k_norm", config.head_dim, config.rms_norm_eps);
  }

  /// Computes y (Q, D), which is not x (N, D). With a tape with dropout, and what backward needs
  /// besides x is kept there.
  void forward(ConstMatrixRef<T> x, const Rows& rows, Tape<T>* tape, MatrixRef<T> y) const {
    Scratch scratch;
    auto* const frame = tape == nullptr ? nullptr : &tape->push(this, name_, rows.count());
    const auto a = laid_out(rows.count(), x.rows(), [&](Index n, Index m) {
      return frame == nullptr ? scratch.matrix<T>(n, m) : frame->keep(n, m);
    });
    project(x, rows, tape, a);
    tape == nullptr
        ? attention_.forward(a.q, a.k, a.v, *rows.queries, *rows.keys, a.context)
        : attention_.forward(a.q, a.k, a.v, *rows.queries, *rows.keys, *tape, a.context);
    finish(rows.taken(x, scratch), tape, a, rows.query_routes, y);
  }

  /// Computes y (N, D) for new tokens whose predecessors lie in the cache's layer `i`, to which
  /// their keys and values are appended.
  void decode(ConstMatrixRef<T> x, ConstMatrixRef<T> angles, std::span<const int> counts,
              KVCache<T>& cache, Index i, MatrixRef<T> y,
              const AdapterRoutes* routes = nullptr) const {
    Scratch scratch;
    const auto a =
        laid_out(x.rows(), x.rows(), [&](Index n, Index m) { return scratch.matrix<T>(n, m); });
    const Rows rows{
        .angles = angles, .query_angles = angles, .routes = routes, .query_routes = routes};
    project(x, rows, nullptr, a);
    cache.append(i, counts, a.k, a.v);
    attention_.forward(a.q, cache, i, counts, a.context);
    finish(x, nullptr, a, routes, y);
  }

  /// Adds to the gradients of what trains and, unless dx is null, computes the gradient of x (N, D)
  /// there, from that of y, dy (Q, D), which is working memory afterwards. x and rows are the
  /// forward's. dx is dy itself where all rows are computed, and is not otherwise.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T>, const Rows& rows, Tape<T>& tape,
                GradientTarget<T> target, MatrixRef<T> dy, const MatrixRef<T>* dx) const {
    constexpr const char* where = "LlamaLayer::backward";
    auto& frame = tape.find(this, where);
    std::size_t next = 0;
    const auto a =
        laid_out(rows.count(), x.rows(), [&](Index, Index) { return frame.kept(next++); });
    Scratch scratch;
    const auto like = [&](const MatrixRef<T>& m) { return scratch.matrix<T>(m.rows(), m.cols()); };
    const MatrixRef<T> dmiddle = like(a.middle);
    {
      Scratch wide;
      const MatrixRef<T> active = wide.matrix<T>(a.gate.rows(), a.gate.cols());
      const MatrixRef<T> dactive = wide.matrix<T>(a.gate.rows(), a.gate.cols());
      if (down_.needs_input()) gated_activation<T>(activation_, a.gate, a.up, active);
      down_.backward(active, dy, tape, target, dactive);
      gated_activation_backward<T>(activation_, a.gate, a.up, dactive, active, dactive);
      const std::array<MatrixRef<T>, 2> dgate_up{active, dactive};
      const MatrixRef<T> normed = wide.matrix<T>(a.middle.rows(), a.middle.cols());
      middle_norm_.forward(a.middle, nullptr, normed);
      gate_up_.backward(normed, dgate_up, tape, target, &dmiddle);
      middle_norm_.backward(a.middle, dmiddle, tape, target, dmiddle);
    }
    add_to<T>(dy, dmiddle);

    const MatrixRef<T> dq = like(a.q), dk = like(a.k), dv = like(a.v);
    output_.backward(a.context, dmiddle, tape, target, dq);
    attention_.backward(a.q, a.k, a.v, dq, *rows.queries, *rows.keys, tape, dq, dk, dv);
    rotary_.backward(dk, rows.angles, dk);
    rotary_.backward(dq, rows.query_angles, dq);
    if (query_norm_) {
      key_norm_->backward(heads_of(a.raw_k), heads_of(dk), tape, target, heads_of(dk));
      query_norm_->backward(heads_of(a.raw_q), heads_of(dq), tape, target, heads_of(dq));
    }
    const MatrixRef<T> normed = scratch.matrix<T>(x.rows(), x.cols());
    attention_norm_.forward(x, nullptr, normed);
    const bool needs_dnormed = dx != nullptr || attention_norm_.trains();
    const MatrixRef<T> dnormed =
        dx != nullptr ? *dx : scratch.matrix<T>(needs_dnormed ? x.rows() : 0, x.cols());
    backward_projections(normed, rows, {dq, dk, dv}, tape, target,
                         needs_dnormed ? &dnormed : nullptr);
    if (dx != nullptr) {
      attention_norm_.backward(x, dnormed, tape, target, dnormed);
      rows.add(dmiddle, dnormed);
    } else {
      attention_norm_.backward(x, needs_dnormed ? dnormed : normed, tape, target);
    }
    static_cast<void>(tape.top(this, rows.count(), where));
    tape.pop();
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    queries_.list(list);
    keys_.list(list);
    output_.list(list);
    if (query_norm_) query_norm_->list(list);
    if (key_norm_) key_norm_->list(list);
    gate_up_.list(list);
    down_.list(list);
    attention_norm_.list(list);
    middle_norm_.list(list);
  }

  /// Tells whether a forward with a tape computes something else than one without.
  [[nodiscard]] bool has_dropout() const { return attention_.config().dropout > 0; }

  /// Calls action(layer) with each LoRALinear that has an adapter.
  template <class Action>
  void for_each_adapted(const Action& action) {
    queries_.for_each_adapted(action);
    keys_.for_each_adapted(action);
    output_.for_each_adapted(action);
    gate_up_.for_each_adapted(action);
    down_.for_each_adapted(action);
  }

 private:
  static LinearSizes mlp_sizes(const LlamaConfig& config) {
    return {config.intermediate_size, config.hidden_size, config.mlp_bias};
  }

  // The parts of "qkv" that are asked for.
  [[nodiscard]] std::vector<ModulePart> parts(const LlamaConfig& config,
                                              std::string_view which) const {
    std::vector<ModulePart> parts;
    for (const char part : which)
      parts.push_back({name_ + ".self_attn." + part + "_proj",
                       {part == 'q' ? config.query_features() : config.key_features(),
                        config.hidden_size, config.attention_bias}});
    return parts;
  }

  // Lays the activations out in the memory that place(rows, cols) gives, in this order.
  template <class Place>
  [[nodiscard]] LlamaLayerActivations<T> laid_out(Index queries, Index tokens,
                                                  const Place& place) const {
    const Index qs = attention_.heads() * attention_.head_features();
    const Index ks = attention_.kv_heads() * attention_.head_features();
    return {.q = place(queries, qs),
            .k = place(tokens, ks),
            .v = place(tokens, ks),
            .raw_q = place(query_norm_ ? queries : 0, qs),
            .raw_k = place(query_norm_ ? tokens : 0, ks),
            .context = place(queries, qs),
            .middle = place(queries, features_),
            .gate = place(queries, width_),
            .up = place(queries, width_)};
  }

  // The same numbers, one row a head.
  [[nodiscard]] MatrixRef<T> heads_of(MatrixRef<T> x) const {
    const Index e = attention_.head_features();
    return {x.data(), x.rows() * (x.cols() / e), e, e};
  }

  // Computes queries, keys and values of x.
  void project(ConstMatrixRef<T> x, const Rows& rows, Tape<T>* tape,
               const LlamaLayerActivations<T>& a) const {
    Scratch scratch;
    const MatrixRef<T> normed = scratch.matrix<T>(x.rows(), x.cols());
    attention_norm_.forward(x, tape, normed);
    const std::array<MatrixRef<T>, 3> y{query_norm_ ? a.raw_q : a.q, query_norm_ ? a.raw_k : a.k,
                                        a.v};
    const std::span<const MatrixRef<T>> all(y);
    if (last_) {
      queries_.forward(rows.taken(normed, scratch), tape, all.first(1), rows.query_routes);
      keys_.forward(normed, tape, all.subspan(1), rows.routes);
    } else {
      keys_.forward(normed, tape, all, rows.routes);
    }
    if (query_norm_) {
      query_norm_->forward(heads_of(a.raw_q), tape, heads_of(a.q));
      key_norm_->forward(heads_of(a.raw_k), tape, heads_of(a.k));
    }
    rotary_.forward(a.q, rows.query_angles, a.q);
    rotary_.forward(a.k, rows.angles, a.k);
  }

  // Computes y from attention's output; x is (Q, D) here.
  void finish(ConstMatrixRef<T> x, Tape<T>* tape, const LlamaLayerActivations<T>& a,
              const AdapterRoutes* routes, MatrixRef<T> y) const {
    Scratch scratch;
    output_.forward(a.context, tape, a.middle, routes);
    add_to<T>(x, a.middle);
    const MatrixRef<T> normed = scratch.matrix<T>(a.middle.rows(), a.middle.cols());
    middle_norm_.forward(a.middle, tape, normed);
    gate_up_.forward(normed, tape, std::array<MatrixRef<T>, 2>{a.gate, a.up}, routes);
    const MatrixRef<T> active =
        tape == nullptr ? a.gate : scratch.matrix<T>(a.gate.rows(), a.gate.cols());
    gated_activation<T>(activation_, a.gate, a.up, active);
    down_.forward(active, tape, y, routes);
    if (tape != nullptr) tape->newest().allow_copies();  // backward computes `active` again
    add_to<T>(a.middle, y);
  }

  void backward_projections(ConstMatrixRef<T> normed, const Rows& rows,
                            const std::array<MatrixRef<T>, 3>& dy, Tape<T>& tape,
                            GradientTarget<T> target, const MatrixRef<T>* dnormed) const {
    const std::span<const MatrixRef<T>> all(dy);
    if (!last_) return keys_.backward(normed, all, tape, target, dnormed);
    keys_.backward(normed, all.subspan(1), tape, target, dnormed);
    Scratch scratch;
    const ConstMatrixRef<T> x = rows.taken(normed, scratch);
    const MatrixRef<T> part = scratch.matrix<T>(x.rows(), x.cols());
    queries_.backward(x, all.first(1), tape, target, dnormed == nullptr ? nullptr : &part);
    if (dnormed != nullptr) rows.add(part, *dnormed);
  }

  std::string name_;
  bool last_;       // computes queries apart, because it may compute fewer of them
  Index features_;  // D
  Index width_;     // F
  Activation activation_;
  ModuleRMSNorm<T> attention_norm_;
  ModuleGroup<T, Frozen> queries_;  // in the last layer
  ModuleGroup<T, Frozen> keys_;     // keys and values; in the other layers queries too
  Attention<T> attention_;
  Rotary<T> rotary_;
  ModuleLinear<T, Frozen> output_;
  std::optional<ModuleRMSNorm<T>> query_norm_;
  std::optional<ModuleRMSNorm<T>> key_norm_;
  ModuleRMSNorm<T> middle_norm_;
  ModuleGroup<T, Frozen> gate_up_;
  ModuleLinear<T, Frozen> down_;
};

}  // namespace lora::models
