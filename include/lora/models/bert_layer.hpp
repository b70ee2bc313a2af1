#pragma once

#include <optional>
#include <string>

#include "lora/models/activation.hpp"
#include "lora/models/bert_tape.hpp"
#include "lora/models/bottleneck.hpp"
#include "lora/models/model_norm.hpp"
#include "lora/models/query_key_value.hpp"
#include "lora/nn/attention.hpp"
#include "lora/nn/dropout.hpp"

namespace lora::models {

/// Is one layer of BERT's encoder (transformers' BertLayer):
///
///     h = norm(x + drop(dense(attention(x)))),  y = norm(h + drop(dense(f(dense(h)))))
///
/// x, h and y (N, D), f of width M. Backward keeps q, k, v, h and what f is applied to; f, the
/// attention's probabilities and the dropout masks are computed again.
template <class T, class Frozen>
class BertLayer {
 public:
  /// Loads the layer called `name`. Throws FileError and ConfigError.
  BertLayer(ModelBuilder<T>& builder, const std::string& name)
      : activation_(builder.config.hidden_act),
        qkv_(builder, name + ".attention.self"),
        attention_({.heads = builder.config.num_attention_heads,
                    .head_features = builder.config.head_features(),
                    .dropout = builder.config.attention_probs_dropout_prob},
                   builder.next_seed()),
        attention_output_(builder, name + ".attention.output.dense", builder.config.hidden_size,
                          builder.config.hidden_size),
        attention_dropout_(builder.config.hidden_dropout_prob, builder.next_seed()),
        attention_norm_(builder, name + ".attention.output.LayerNorm"),
        intermediate_(builder, name + ".intermediate.dense", builder.config.intermediate_size,
                      builder.config.hidden_size),
        output_(builder, name + ".output.dense", builder.config.hidden_size,
                builder.config.intermediate_size),
        output_dropout_(builder.config.hidden_dropout_prob, builder.next_seed()),
        output_norm_(builder, name + ".output.LayerNorm") {
    if (const Index features = builder.plan.bottleneck(); features > 0) {
      attention_bottleneck_.emplace(builder, name + ".attention.output.adapter", features);
      output_bottleneck_.emplace(builder, name + ".output.adapter", features);
    }
  }

  /// Computes y, which is not x, without dropout.
  void forward(ConstMatrixRef<T> x, const Sequences& sequences, BertBuffers<T>& buffers,
               Matrix<T>& y) const {
    auto& [q, k, v] = buffers.layer.qkv;
    Matrix<T>& h = buffers.layer.attended;
    Matrix<T>& inner = buffers.layer.inner;
    qkv_.forward(x, buffers.layer.qkv);
    attention_.forward(q, k, v, sequences, q);
    attention_output_.forward(q, h);
    if (attention_bottleneck_) attention_bottleneck_->forward(h, buffers.bottleneck);
    add(x, h);
    attention_norm_.forward(h);
    intermediate_.forward(h, inner);
    activate<T>(activation_, inner, inner);
    output_.forward(inner, y);
    if (output_bottleneck_) output_bottleneck_->forward(y, buffers.bottleneck);
    add(h, y);
    output_norm_.forward(y);
  }

  /// Computes y, which is not x, with dropout, and keeps what backward needs besides x and y: on
  /// the tape and in `kept`.
  void forward(ConstMatrixRef<T> x, const Sequences& sequences, Tape<T>& tape,
               BertLayerActivations<T>& kept, BertBuffers<T>& buffers, Matrix<T>& y) const {
    const auto& [q, k, v] = kept.qkv;
    Matrix<T>& context = attention_output_.needs_input() ? kept.context : buffers.narrow[0];
    Matrix<T>& h = kept.attended;
    qkv_.forward(x, tape, kept.qkv);
    attention_.forward(q, k, v, sequences, tape, context);
    attention_output_.forward(context, tape, h);
    drop(attention_dropout_, tape, h);
    if (attention_bottleneck_)
      attention_bottleneck_->forward(h, tape, kept.bottleneck[0], buffers.bottleneck);
    add(x, h);
    attention_norm_.forward(h, tape, kept.first_sum);
    intermediate_.forward(h, tape, kept.inner);
    activate<T>(activation_, kept.inner, buffers.wide[0]);
    output_.forward(buffers.wide[0], tape, y);
    drop(output_dropout_, tape, y);
    if (output_bottleneck_)
      output_bottleneck_->forward(y, tape, kept.bottleneck[1], buffers.bottleneck);
    add(h, y);
    output_norm_.forward(y, tape, kept.second_sum);
  }

  /// Adds to the gradients of what trains and, with `wants_dx`, computes the gradient of x in place
  /// of that of y, `d` (N, D). x, y, sequences and kept are the forward's.
  void backward(ConstMatrixRef<T> x, ConstMatrixRef<T> y, const Sequences& sequences, Tape<T>& tape,
                BertLayerActivations<T>& kept, BertBuffers<T>& buffers, bool wants_dx,
                Matrix<T>& d) {
    const auto& [q, k, v] = kept.qkv;
    auto& [dq, dk, dv] = buffers.dqkv;
    auto& [active, dinner] = buffers.wide;
    Matrix<T>& dh = buffers.narrow[0];
    Matrix<T>& dropped = buffers.narrow[1];

    output_norm_.backward(y, kept.second_sum, tape, d);
    const Matrix<T>* branch = &d;  // the gradient of what the dense layer gave
    if (output_bottleneck_) {
      dropped = d;
      output_bottleneck_->backward(kept.bottleneck[1], tape, dropped, buffers.bottleneck);
      branch = &dropped;
    }
    branch = drop_backward(output_dropout_, *branch, tape, dropped);
    const bool needs_active = output_.needs_input() || activation_ == Activation::tanh;
    if (needs_active) activate<T>(activation_, kept.inner, active);
    const Matrix<T>& activated = needs_active ? active : kept.inner;
    output_.backward(activated, *branch, tape, dinner);
    activate_backward<T>(activation_, kept.inner, activated, dinner, dinner);
    intermediate_.backward(kept.attended, dinner, tape, dh);
    add(d, dh);

    attention_norm_.backward(kept.attended, kept.first_sum, tape, dh);
    branch = &dh;
    if (attention_bottleneck_) {
      dropped = dh;
      attention_bottleneck_->backward(kept.bottleneck[0], tape, dropped, buffers.bottleneck);
      branch = &dropped;
    }
    branch = drop_backward(attention_dropout_, *branch, tape, dropped);
    // Where it was not kept, its elements are not looked at.
    const Matrix<T>& context = attention_output_.needs_input() ? kept.context : q;
    attention_output_.backward(context, *branch, tape, dq);
    attention_.backward(q, k, v, dq, sequences, tape, dq, dk, dv);
    if (!wants_dx) return qkv_.backward(x, buffers.dqkv, tape);
    qkv_.backward(x, buffers.dqkv, tape, d, dropped);
    add(dh, d);
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
    for (ModelLinear<T, Frozen>* layer : {&attention_output_, &intermediate_, &output_})
      layer->set_adapter_enabled(enabled);
  }

 private:
  static void add(ConstMatrixRef<T> x, Matrix<T>& sum) {
    elementwise(
        sum, 16, [](const Packet<T>& a, const Packet<T>& b) { return Eigen::internal::padd(a, b); },
        sum, x);
  }

  // Without dropout there is nothing to note and nothing to copy.
  static void drop(const Dropout<T>& dropout, Tape<T>& tape, Matrix<T>& x) {
    if (dropout.p() > 0) dropout.forward(x, tape, x);
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
  ModelLinear<T, Frozen> attention_output_;
  Dropout<T> attention_dropout_;
  std::optional<Bottleneck<T>> attention_bottleneck_;
  ModelNorm<T> attention_norm_;
  ModelLinear<T, Frozen> intermediate_;
  ModelLinear<T, Frozen> output_;
  Dropout<T> output_dropout_;
  std::optional<Bottleneck<T>> output_bottleneck_;
  ModelNorm<T> output_norm_;
};

}  // namespace lora::models
