#pragma once

#include <optional>
#include <string>

#include "lora/core/elementwise.hpp"
#include "lora/core/scratch.hpp"
#include "lora/models/bert/bert_config.hpp"
#include "lora/models/common/bottleneck.hpp"
#include "lora/models/common/module_norm.hpp"
#include "lora/models/common/query_key_value.hpp"
#include "lora/models/common/token_rows.hpp"
#include "lora/nn/activation.hpp"
#include "lora/nn/attention.hpp"
#include "lora/nn/dropout.hpp"

namespace lora::models {

/// The activations of one layer of BERT: N tokens, Q of them computed, D features, M of the
/// feed-forward half. They lie on the tape where a backward needs them, else in scratch memory.
template <class T>
struct BertLayerActivations {
  MatrixRef<T> q;           // (Q, D)
  MatrixRef<T> k;           // (N, D)
  MatrixRef<T> v;           // (N, D)
  MatrixRef<T> context;     // (Q, D), attention's output; empty where nothing needs it
  MatrixRef<T> attended;    // (Q, D), h, the output of the first half
  MatrixRef<T> inner;       // (Q, M), before the activation
  MatrixRef<T> first_sum;   // (Q, D), what the first norm saw; empty where nothing needs it
  MatrixRef<T> second_sum;  // (Q, D), what the second norm saw; likewise
};

/// One layer of BERT's encoder (transformers' BertLayer):
///
///     h = norm(x + drop(dense(attention(x)))),  y = norm(h + drop(dense(f(dense(h)))))
///
/// x (N, D), h and y (Q, D), f of width M. Backward keeps q, k, v, h and what f is applied to; f,
/// the attention's probabilities and the dropout masks are computed again.
///
/// Where a head reads the first tokens alone, the last layer computes but their rows of q, h and y:
/// for MiniLM an eighth of all work less, in forward and backward.
template <class T, class Frozen>
class BertLayer {
 public:
  using Scalar = T;
  using Rows = TokenRows;

  /// Loads the layer called `name`, which is to compute these rows. Throws FileError and
  /// ConfigError.
  BertLayer(ModelBuilder<T>& builder, const BertConfig& config, const std::string& name,
            ReadRows read)
      : name_(name),
        width_(config.intermediate_size),
        activation_(config.hidden_act),
        qkv_(builder, {.names = {name + ".attention.self.query", name + ".attention.self.key",
                                 name + ".attention.self.value"},
                       .in_features = config.hidden_size,
                       .out_features = {config.hidden_size, config.hidden_size, config.hidden_size},
                       .queries_apart = read != ReadRows::all}),
        attention_({.heads = config.num_attention_heads,
                    .head_features = config.head_features(),
                    .dropout = config.attention_probs_dropout_prob},
                   builder.next_seed()),
        attention_output_(builder, name + ".attention.output.dense",
                          {config.hidden_size, config.hidden_size}),
        attention_dropout_(config.hidden_dropout_prob, builder.next_seed()),
        attention_norm_(builder, name + ".attention.output.LayerNorm", config.hidden_size,
                        config.layer_norm_eps),
        intermediate_(builder, name + ".intermediate.dense",
                      {config.intermediate_size, config.hidden_size}),
        output_(builder, name + ".output.dense", {config.hidden_size, config.intermediate_size}),
        output_dropout_(config.hidden_dropout_prob, builder.next_seed()),
        output_norm_(builder, name + ".output.LayerNorm", config.hidden_size,
                     config.layer_norm_eps) {
    attention_.set_name(name + ".attention.self");
    attention_dropout_.set_name(name + ".attention.output.dropout");
    output_dropout_.set_name(name + ".output.dropout");
    if (const Index features = builder.plan.bottleneck(); features > 0) {
      const Index d = config.hidden_size;
      attention_bottleneck_.emplace(builder, name + ".attention.output.adapter", d, features);
      output_bottleneck_.emplace(builder, name + ".output.adapter", d, features);
    }
  }

  /// Computes y (Q, D), which is not x (N, D). With a tape with dropout, and what backward needs
  /// besides x and y is kept there.
  void forward(ConstMatrixRef<T> x, const TokenRows& rows, Tape<T>* tape, MatrixRef<T> y) const {
    Scratch scratch;
    auto* const frame = tape == nullptr ? nullptr : &tape->push(this, name_, rows.count());
    const auto take = [&](Index n, Index m) { return scratch.matrix<T>(n, m); };
    const auto [q, k, v, kept_context, h, inner, first_sum, second_sum] = laid_out(
        rows, x.cols(), tape != nullptr,
        [&](Index n, Index m) { return frame == nullptr ? take(n, m) : frame->keep(n, m); });
    // Without a backward to come, what is read no more is written over.
    const MatrixRef<T> context = tape == nullptr           ? q
                                 : kept_context.size() > 0 ? kept_context
                                                           : take(q.rows(), q.cols());
    const MatrixRef<T> active = tape == nullptr ? inner : take(inner.rows(), inner.cols());

    const ConstMatrixRef<T> xq = query_input(x, rows, scratch);
    qkv_.forward(xq, x, tape, q, k, v, rows.query_routes, rows.routes);
    attend(q, k, v, rows, tape, context);
    attention_output_.forward(context, tape, h, rows.query_routes);
    drop(attention_dropout_, tape, h);
    if (attention_bottleneck_) attention_bottleneck_->forward(h, tape);
    add_to<T>(xq, h);
    attention_norm_.forward(h, tape, first_sum);
    intermediate_.forward(h, tape, inner, rows.query_routes);
    activate<T>(activation_, inner, active);
    output_.forward(active, tape, y, rows.query_routes);
    if (tape != nullptr) tape->newest().allow_copies();  // backward computes `active` again
    drop(output_dropout_, tape, y);
    if (output_bottleneck_) output_bottleneck_->forward(y, tape);
    add_to<T>(h, y);
    output_norm_.forward(y, tape, second_sum);
  }

  /// Adds to the gradients of what trains and, unless dx is null, computes the gradient of x (N, D)
  /// there, from that of y, dy (Q, D), which is working memory afterwards. x, y and rows are the
  /// forward's. dx is dy itself where all rows are computed, and is not otherwise.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> y, const TokenRows& rows, Tape<T>& tape,
                GradientTarget<T> target, MatrixRef<T> dy, const MatrixRef<T>* dx) const {
    constexpr const char* where = "BertLayer::backward";
    auto& frame = tape.find(this, where);
    std::size_t next = 0;
    const auto [q, k, v, kept_context, h, inner, first_sum, second_sum] =
        laid_out(rows, x.cols(), true, [&](Index, Index) { return frame.kept(next++); });
    Scratch scratch;
    const auto like = [&](const MatrixRef<T>& m) { return scratch.matrix<T>(m.rows(), m.cols()); };
    const MatrixRef<T> dq = like(q), dk = like(k), dv = like(v), dh = like(h), branch = like(h);

    output_norm_.backward(y, second_sum, tape, target, dy);
    // The gradient of what the dense layer gave.
    const MatrixRef<T> doutput =
        through_branch(output_bottleneck_, output_dropout_, dy, tape, target, branch);
    {
      Scratch wide;
      const MatrixRef<T> dinner = wide.matrix<T>(inner.rows(), inner.cols());
      const bool needs_active = output_.needs_input() || needs_output(activation_);
      const MatrixRef<T> active =
          needs_active ? wide.matrix<T>(inner.rows(), inner.cols()) : MatrixRef<T>(inner);
      if (needs_active) activate<T>(activation_, inner, active);
      output_.backward(active, doutput, tape, target, dinner);
      activate_backward<T>(activation_, inner, active, dinner, dinner);
      intermediate_.backward(h, dinner, tape, target, dh);
    }
    add_to<T>(dy, dh);

    attention_norm_.backward(h, first_sum, tape, target, dh);
    const MatrixRef<T> dattended =
        through_branch(attention_bottleneck_, attention_dropout_, dh, tape, target, branch);
    // Where it was not kept, its elements are not looked at.
    const MatrixRef<T> context = kept_context.size() > 0 ? kept_context : q;
    attention_output_.backward(context, dattended, tape, target, dq);
    attention_.backward(q, k, v, dq, rows.queries(), rows.keys(), tape, dq, dk, dv);
    const ConstMatrixRef<T> xq = query_input(x, rows, scratch);
    if (dx == nullptr) {
      qkv_.backward(xq, x, dq, dk, dv, tape, target);
    } else {
      qkv_.backward(!rows.all(), xq, x, dq, dk, dv, tape, target, branch, *dx);
      if (rows.all()) {
        add_to<T>(dh, *dx);
      } else {
        add_to<T>(branch, dh);
        rows.batch->template add_to_first_tokens<T>(dh, *dx);
      }
    }
    static_cast<void>(tape.top(this, rows.count(), where));
    tape.pop();
  }

  /// Adds what trains.
  void list(ModelParameters<T>& list) {
    qkv_.list(list);
    attention_output_.list(list);
    if (attention_bottleneck_) attention_bottleneck_->list(list);
    attention_norm_.list(list);
    intermediate_.list(list);
    output_.list(list);
    if (output_bottleneck_) output_bottleneck_->list(list);
    output_norm_.list(list);
  }

  /// Tells whether a forward with a tape computes something else than one without.
  [[nodiscard]] bool has_dropout() const {
    return attention_.config().dropout > 0 || attention_dropout_.p() > 0 || output_dropout_.p() > 0;
  }

  /// Calls action(layer) with each LoRALinear that has an adapter.
  template <class Action>
  void for_each_adapted(const Action& action) {
    qkv_.for_each_adapted(action);
    for (ModuleLinear<T, Frozen>* module : {&attention_output_, &intermediate_, &output_})
      module->for_each_adapted(action);
  }

 private:
  // Lays the activations out in the memory that place(rows, cols) gives, in this order. Those that
  // only a backward needs are empty without one.
  template <class Place>
  [[nodiscard]] BertLayerActivations<T> laid_out(const TokenRows& rows, Index d, bool for_backward,
                                                 const Place& place) const {
    const Index queries = rows.count(), tokens = rows.keys().rows();
    const auto where = [&](bool needed) { return for_backward && needed ? queries : 0; };
    return {.q = place(queries, d),
            .k = place(tokens, d),
            .v = place(tokens, d),
            .context = place(where(attention_output_.needs_input()), d),
            .attended = place(queries, d),
            .inner = place(queries, width_),
            .first_sum = place(where(attention_norm_.needs_input()), d),
            .second_sum = place(where(output_norm_.needs_input()), d)};
  }

  // Returns the rows of x that are computed.
  static ConstMatrixRef<T> query_input(const ConstMatrixRef<T>& x, const TokenRows& rows,
                                       Scratch& scratch) {
    if (rows.all()) return x;
    const MatrixRef<T> first = scratch.matrix<T>(rows.count(), x.cols());
    rows.batch->template take_first_tokens<T>(x, first);
    return first;
  }

  void attend(ConstMatrixRef<T> q, ConstMatrixRef<T> k, ConstMatrixRef<T> v, const TokenRows& rows,
              Tape<T>* tape, MatrixRef<T> y) const {
    tape == nullptr ? attention_.forward(q, k, v, rows.queries(), rows.keys(), y)
                    : attention_.forward(q, k, v, rows.queries(), rows.keys(), *tape, y);
  }

  // Without dropout there is nothing to note and nothing to copy.
  static void drop(const Dropout<T>& dropout, Tape<T>* tape, MatrixRef<T> x) {
    if (tape != nullptr && dropout.p() > 0) dropout.forward(x, *tape, x);
  }

  // Returns the gradient of what went through dropout and bottleneck: d itself, or `branch`.
  static MatrixRef<T> through_branch(const std::optional<Bottleneck<T>>& bottleneck,
                                     const Dropout<T>& dropout, MatrixRef<T> d, Tape<T>& tape,
                                     GradientTarget<T> target, MatrixRef<T> branch) {
    if (bottleneck) {
      branch = d;
      bottleneck->backward(tape, target, branch);
    }
    if (dropout.p() > 0) dropout.backward(bottleneck ? branch : d, tape, branch);
    return bottleneck || dropout.p() > 0 ? branch : d;
  }

  std::string name_;
  Index width_;  // M
  Activation activation_;
  QueryKeyValue<T, Frozen> qkv_;
  Attention<T> attention_;
  ModuleLinear<T, Frozen> attention_output_;
  Dropout<T> attention_dropout_;
  std::optional<Bottleneck<T>> attention_bottleneck_;
  ModuleNorm<T> attention_norm_;
  ModuleLinear<T, Frozen> intermediate_;
  ModuleLinear<T, Frozen> output_;
  Dropout<T> output_dropout_;
  std::optional<Bottleneck<T>> output_bottleneck_;
  ModuleNorm<T> output_norm_;
};

}  // namespace lora::models
