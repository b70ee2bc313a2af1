#pragma once

#include <optional>
#include <string>

#include "lora/models/bert/bert_config.hpp"
#include "lora/models/bert/bert_tape.hpp"
#include "lora/models/common/bottleneck.hpp"
#include "lora/models/common/module_norm.hpp"
#include "lora/models/common/query_key_value.hpp"
#include "lora/nn/activation.hpp"
#include "lora/nn/attention.hpp"
#include "lora/nn/dropout.hpp"

namespace lora::models {

/// One layer of BERT's encoder (transformers' BertLayer):
///
///     h = norm(x + drop(dense(attention(x)))),  y = norm(h + drop(dense(f(dense(h)))))
///
/// x, h and y (N, D), f of width M. Backward keeps q, k, v, h and what f is applied to; f, the
/// attention's probabilities and the dropout masks are computed again.
///
/// Where a head reads the first tokens alone, the last layer computes but their rows of q, h and y:
/// for MiniLM an eighth of all work less, in forward and backward.
template <class T, class Frozen>
class BertLayer {
 public:
  /// Loads the layer called `name`, of which training reads these rows. Throws FileError and
  /// ConfigError.
  BertLayer(ModelBuilder<T>& builder, const BertConfig& config, const std::string& name,
            ReadRows read)
      : activation_(config.hidden_act),
        qkv_(builder, {.names = {name + ".attention.self.query", name + ".attention.self.key",
                                 name + ".attention.self.value"},
                       .in_features = config.hidden_size,
                       .out_features = {config.hidden_size, config.hidden_size, config.hidden_size},
                       .queries_apart = read != ReadRows::all}),
        attention_({.heads = config.num_attention_heads,
                    .head_features = config.head_features(),
                    .dropout = config.attention_probs_dropout_prob},
                   builder.next_seed()),
        attention_output_(builder, name + ".attention.output.dense", config.hidden_size,
                          config.hidden_size),
        attention_dropout_(config.hidden_dropout_prob, builder.next_seed()),
        attention_norm_(builder, name + ".attention.output.LayerNorm", config.hidden_size,
                        config.layer_norm_eps),
        intermediate_(builder, name + ".intermediate.dense", config.intermediate_size,
                      config.hidden_size),
        output_(builder, name + ".output.dense", config.hidden_size, config.intermediate_size),
        output_dropout_(config.hidden_dropout_prob, builder.next_seed()),
        output_norm_(builder, name + ".output.LayerNorm", config.hidden_size,
                     config.layer_norm_eps) {
    if (const Index features = builder.plan.bottleneck(); features > 0) {
      const Index d = config.hidden_size;
      attention_bottleneck_.emplace(builder, name + ".attention.output.adapter", d, features);
      output_bottleneck_.emplace(builder, name + ".output.adapter", d, features);
    }
  }

  /// Computes the rows of y, which is not x, that are read: of all, unless the layer was loaded for
  /// less. `x` is of buffers.batch. With a tape with dropout, and what backward needs besides x and
  /// y is kept there and in `kept`.
  void forward(ConstMatrixRef<T> x, ReadRows read, Tape<T>* tape, BertLayerActivations<T>& kept,
               BertBuffers<T>& buffers, Matrix<T>& y) const {
    auto& own = buffers.layer(read);
    auto& [q, k, v] = kept.qkv;
    // Without a backward to come, what is read no more is written over.
    Matrix<T>& context = tape == nullptr                   ? q
                         : attention_output_.needs_input() ? kept.context
                                                           : own.narrow[0];
    Matrix<T>& h = kept.attended;
    Matrix<T>& active = tape == nullptr ? kept.inner : own.wide[0];
    const ConstMatrixRef<T> xq = query_input(x, read, buffers);
    qkv_.forward(xq, x, tape, kept.qkv);
    attend(q, k, v, buffers.batch.sequences(read), buffers.batch.sequences(), tape, context);
    attention_output_.forward(context, tape, h);
    drop(attention_dropout_, tape, h);
    if (attention_bottleneck_)
      attention_bottleneck_->forward(h, tape, kept.bottleneck[0], own.bottleneck);
    add(xq, h);
    attention_norm_.forward(h, tape, kept.first_sum);
    intermediate_.forward(h, tape, kept.inner);
    activate<T>(activation_, kept.inner, active);
    output_.forward(active, tape, y);
    drop(output_dropout_, tape, y);
    if (output_bottleneck_)
      output_bottleneck_->forward(y, tape, kept.bottleneck[1], own.bottleneck);
    add(h, y);
    output_norm_.forward(y, tape, kept.second_sum);
  }

  /// Adds to the gradients of what trains and, with `wants_dx`, computes the gradient dx of x
  /// (N, D) from that of y, `dy`, which is working memory afterwards. x, y, what is read and kept
  /// are the forward's. dx is dy where all rows are read, and is not otherwise.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> y, ReadRows read, Tape<T>& tape,
                BertLayerActivations<T>& kept, BertBuffers<T>& buffers, bool wants_dx,
                Matrix<T>& dy, Matrix<T>& dx) {
    auto& own = buffers.layer(read);
    const auto& [q, k, v] = kept.qkv;
    auto& [dq, dk, dv] = own.dqkv;
    auto& [active, dinner] = own.wide;
    Matrix<T>& dh = own.narrow[0];
    Matrix<T>& dropped = own.narrow[1];

    output_norm_.backward(y, kept.second_sum, tape, dy);
    const Matrix<T>* branch = &dy;  // the gradient of what the dense layer gave
    if (output_bottleneck_) {
      dropped = dy;
      output_bottleneck_->backward(kept.bottleneck[1], tape, dropped, own.bottleneck);
      branch = &dropped;
    }
    branch = drop_backward(output_dropout_, *branch, tape, dropped);
    const bool needs_active = output_.needs_input() || needs_output(activation_);
    if (needs_active) activate<T>(activation_, kept.inner, active);
    const Matrix<T>& activated = needs_active ? active : kept.inner;
    output_.backward(activated, *branch, tape, dinner);
    activate_backward<T>(activation_, kept.inner, activated, dinner, dinner);
    intermediate_.backward(kept.attended, dinner, tape, dh);
    add(dy, dh);

    attention_norm_.backward(kept.attended, kept.first_sum, tape, dh);
    branch = &dh;
    if (attention_bottleneck_) {
      dropped = dh;
      attention_bottleneck_->backward(kept.bottleneck[0], tape, dropped, own.bottleneck);
      branch = &dropped;
    }
    branch = drop_backward(attention_dropout_, *branch, tape, dropped);
    // Where it was not kept, its elements are not looked at.
    const Matrix<T>& context = attention_output_.needs_input() ? kept.context : q;
    attention_output_.backward(context, *branch, tape, dq);
    attention_.backward(q, k, v, dq, buffers.batch.sequences(read), buffers.batch.sequences(), tape,
                        dq, dk, dv);
    const ConstMatrixRef<T> xq = query_input(x, read, buffers);
    if (!wants_dx) return qkv_.backward(xq, x, own.dqkv, tape);
    qkv_.backward(read != ReadRows::all, xq, x, own.dqkv, tape, dropped, dx);
    if (read == ReadRows::all) return add(dh, dx);
    add(dropped, dh);
    buffers.batch.add_to_first_tokens(dh, dx);
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

  void set_adapters_enabled(bool enabled) {
    qkv_.set_adapter_enabled(enabled);
    for (ModuleLinear<T, Frozen>* layer : {&attention_output_, &intermediate_, &output_})
      layer->set_adapter_enabled(enabled);
  }

 private:
  // Returns the rows of x that are read.
  static ConstMatrixRef<T> query_input(const ConstMatrixRef<T>& x, ReadRows read,
                                       BertBuffers<T>& buffers) {
    if (read == ReadRows::all) return x;
    buffers.batch.take_first_tokens(x, buffers.first_tokens);
    return buffers.first_tokens;
  }

  static void add(ConstMatrixRef<T> x, Matrix<T>& sum) {
    elementwise(
        sum, 16, [](const Packet<T>& a, const Packet<T>& b) { return Eigen::internal::padd(a, b); },
        sum, x);
  }

  void attend(ConstMatrixRef<T> q, ConstMatrixRef<T> k, ConstMatrixRef<T> v,
              const Sequences& queries, const Sequences& keys, Tape<T>* tape, Matrix<T>& y) const {
    tape == nullptr ? attention_.forward(q, k, v, queries, keys, y)
                    : attention_.forward(q, k, v, queries, keys, *tape, y);
  }

  // Without dropout there is nothing to note and nothing to copy.
  static void drop(const Dropout<T>& dropout, Tape<T>* tape, Matrix<T>& x) {
    if (tape != nullptr && dropout.p() > 0) dropout.forward(x, *tape, x);
  }

  static const Matrix<T>* drop_backward(const Dropout<T>& dropout, const Matrix<T>& dy,
                                        Tape<T>& tape, Matrix<T>& dx) {
    if (dropout.p() == 0) return &dy;
    dropout.backward(dy, tape, dx);
    return &dx;
  }

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
