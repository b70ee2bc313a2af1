#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "lora/core/output.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/place.hpp"
#include "lora/core/tape.hpp"
#include "lora/nn/attention_config.hpp"
#include "lora/nn/attention_head.hpp"
#include "lora/nn/attention_kernel.hpp"
#include "lora/nn/kv_cache.hpp"
#include "lora/nn/sequences.hpp"
#include "lora/random/dropout_mask.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// Softmax attention within each sequence of a batch (Vaswani et al., "Attention is all you need",
/// 2017; torch's scaled_dot_product_attention):
///
///     y_h = drop(P) v_g,  P = softmax(s q_h k_g^T) over the tokens that a token sees,
///
/// for each head h and its key head g = h G / H. q and y are (N, H D), k and v (N, G D); columns
/// [h D, (h + 1) D) are head h. Only tokens are computed: padding is neither seen nor does it see,
/// its rows of y and of the gradients are zeros, and it costs nothing.
///
/// Queries may be other rows than keys and values, as in cross attention, or where only some tokens
/// are asked for: then sequence b of `queries` looks at sequence b of `keys`, q and y are
/// (N of queries, H D), k and v (N of keys, G D).
///
/// Backward computes the probabilities again, from q, k and the logarithm of each row's sum of
/// exponentials (N, H), which is all that the tape keeps: memory is O(S), not O(S^2). Dropout's
/// masks are functions of (seed, substream, tape's step, head, token, token). The result is the
/// same bit for bit for any number of threads, and a second call of the same shapes allocates
/// nothing. Calls may come from several threads at once, each with a tape of its own.
template <class T>
class Attention {
 public:
  using Scalar = T;

  /// Layers of one seed need a substream each: otherwise they draw the same masks, whatever their
  /// names. Throws ConfigError for settings out of range.
  explicit Attention(const AttentionConfig& config, std::uint64_t seed = 0,
                     std::uint64_t substream = 0)
      : config_((validate(config, "Attention"), config)),
        random_(seed, RandomStream::dropout, substream),
        kernel_(config) {}

  /// Computes y (N, H D) without dropout. y may be q itself, but no other part of its memory and no
  /// part of k or v. Throws ShapeError.
  void forward(ConstMatrixRef<T> q, ConstMatrixRef<T> k, ConstMatrixRef<T> v,
               const Sequences& sequences, Output<T> y) const {
    forward(q, k, v, sequences, sequences, y);
  }

  /// Does the same with keys and values apart from the queries.
  void forward(ConstMatrixRef<T> q, ConstMatrixRef<T> k, ConstMatrixRef<T> v,
               const Sequences& queries, const Sequences& keys, Output<T> y) const {
    const Place where = place("Attention::forward");
    check(q, k, v, queries, keys, where);
    y.check(q.rows(), q.cols(), where, "y", {k, v});
    MatrixRef<T> out = y.shaped_elementwise(q.rows(), q.cols(), where, "y", {q});
    for_each_head(queries, keys, heads(), [&](const AttentionHead& at) {
      kernel_.forward(at, q, k, v, out, nullptr, nullptr);
    });
  }

  /// Computes y (N, H D) for queries whose keys and values lie in a layer of the cache, without
  /// dropout: counts[b] rows of q are the last tokens that the layer holds of sequence b, appended
  /// but not yet committed (see KVCache), and see those before them. What it gives equals, but for
  /// rounding, the causal attention over whole sequences. y may be q itself. Throws ShapeError, and
  /// ConfigError where attention is not causal.
  void forward(ConstMatrixRef<T> q, const KVCache<T>& cache, Index layer,
               std::span<const int> counts, Output<T> y) const {
    const Place where = place("Attention::forward");
    if (!config_.causal)
      throw ConfigError(message(where, ": a cache of keys and values serves causal attention"));
    cache.check(layer, counts, kv_heads() * head_features(), where);
    require_shape(q, cache.rows_of(counts), heads() * head_features(), where, "q",
                  "rows that counts says", "heads * head_features");
    MatrixRef<T> out = y.shaped_elementwise(q.rows(), q.cols(), where, "y", {q});
    Scratch scratch;
    auto* begins = scratch.take<Index>(cache.sequences());
    Index begin = 0;
    for (Index b = 0; b < cache.sequences(); ++b) {
      begins[b] = begin;
      begin += counts[static_cast<std::size_t>(b)];
    }
    const ConstMatrixRef<T> k = cache.keys(layer), v = cache.values(layer);
    const auto head_of_sequence = [&](Index b) {
      const Index count = counts[static_cast<std::size_t>(b)];
      const Index held = cache.length(b) + count;
      return AttentionHead{nullptr,
                           nullptr,
                           {begins[b], count, 0, count, count, false},
                           {b * cache.capacity(), held, 0, held, held, false},
                           0,
                           true,
                           config_.window.value_or(0)};
    };
    run_heads(cache.sequences(), kv_heads(), head_of_sequence,
              [&](AttentionHead at) { kernel_.forward_group(at, q, k, v, out); });
  }

  /// Computes y with dropout, and keeps the logarithms on the tape. y is no part of q, k or v.
  /// Throws ShapeError.
  void forward(ConstMatrixRef<T> q, ConstMatrixRef<T> k, ConstMatrixRef<T> v,
               const Sequences& sequences, Tape<T>& tape, Output<T> y) const {
    forward(q, k, v, sequences, sequences, tape, y);
  }

  /// Does the same with keys and values apart from the queries.
  void forward(ConstMatrixRef<T> q, ConstMatrixRef<T> k, ConstMatrixRef<T> v,
               const Sequences& queries, const Sequences& keys, Tape<T>& tape, Output<T> y) const {
    const Place where = place("Attention::forward");
    check(q, k, v, queries, keys, where);
    MatrixRef<T> out = y.shaped(q.rows(), q.cols(), where, "y", {q, k, v});
    auto& frame =
        tape.push(this, name_.empty() ? std::string_view("an Attention") : name_, q.rows());
    for (const ConstMatrixRef<T>& input : {q, k, v}) frame.note_input(input);
    frame.note_layout(layout_of(queries, keys));
    MatrixRef<T> log_sums = frame.keep(q.rows(), heads());
    const DropoutMask mask = mask_of(frame, keys);
    for_each_head(queries, keys, heads(), [&](const AttentionHead& at) {
      kernel_.forward(at, q, k, v, out, &log_sums, config_.dropout > 0 ? &mask : nullptr);
    });
  }

  /// Computes the gradients of q, k and v from dy (N, H D); with M the mask, * by element:
  ///
  ///     dv = (P * M)^T dy,  dP = M * (dy v^T),  dS = P * (dP - rowsum(P * dP)),
  ///     dq = s dS k,  dk = s dS^T q
  ///
  /// q, k, v and sequences are the forward's. dq may be dy itself; otherwise dq, dk and dv are no
  /// part of each other, of an input or of dy. Throws ShapeError and StateError, before anything
  /// changes.
  void backward(ConstMatrixRef<T> q, ConstMatrixRef<T> k, ConstMatrixRef<T> v, ConstMatrixRef<T> dy,
                const Sequences& sequences, Tape<T>& tape, Output<T> dq, Output<T> dk,
                Output<T> dv) const {
    backward(q, k, v, dy, sequences, sequences, tape, dq, dk, dv);
  }

  /// Does the same with keys and values apart from the queries.
  void backward(ConstMatrixRef<T> q, ConstMatrixRef<T> k, ConstMatrixRef<T> v, ConstMatrixRef<T> dy,
                const Sequences& queries, const Sequences& keys, Tape<T>& tape, Output<T> dq,
                Output<T> dk, Output<T> dv) const {
    const Place where = place("Attention::backward");
    check(q, k, v, queries, keys, where);
    require_shape(dy, q.rows(), q.cols(), where, "dy", {}, "heads * head_features");
    auto& frame = tape.top(this, dy.rows(), where);
    check_frame(frame, q, k, v, layout_of(queries, keys), where);
    require_apart<T>({dq, dk, dv}, where);
    dq.check(q.rows(), q.cols(), where, "dq", {q, k, v});
    dk.check(k.rows(), k.cols(), where, "dk", {q, k, v, dy});
    dv.check(v.rows(), v.cols(), where, "dv", {q, k, v, dy});
    MatrixRef<T> dq_out = dq.shaped_elementwise(q.rows(), q.cols(), where, "dq", {dy});
    MatrixRef<T> dk_out = dk.shaped(k.rows(), k.cols(), where, "dk");
    MatrixRef<T> dv_out = dv.shaped(v.rows(), v.cols(), where, "dv");
    const MatrixRef<T> log_sums = frame.kept();
    const DropoutMask mask = mask_of(frame, keys);
    const Index group = heads() / kv_heads();
    for_each_head(queries, keys, kv_heads(), [&](AttentionHead at) {
      const Index g = at.head;
      kernel_.zero_rows(at.key, g, 0, at.key.rows, dk_out);
      kernel_.zero_rows(at.key, g, 0, at.key.rows, dv_out);
      for (at.head = g * group; at.head < (g + 1) * group; ++at.head)
        kernel_.backward(at, q, k, v, dy, log_sums, config_.dropout > 0 ? &mask : nullptr, dq_out,
                         dk_out, dv_out);
    });
    tape.pop();
  }

  [[nodiscard]] const AttentionConfig& config() const { return config_; }
  [[nodiscard]] Index heads() const { return config_.heads; }
  [[nodiscard]] Index kv_heads() const { return config_.key_heads(); }
  [[nodiscard]] Index head_features() const { return config_.head_features; }
  [[nodiscard]] const std::string& name() const { return name_; }

  /// Names the layer in messages; it has nothing that files would know by a name.
  void set_name(const std::string& name) { name_ = name; }

 private:
  void check(const ConstMatrixRef<T>& q, const ConstMatrixRef<T>& k, const ConstMatrixRef<T>& v,
             const Sequences& queries, const Sequences& keys, const Place& where) const {
    const Index d = head_features();
    if (queries.size() != keys.size())
      throw ShapeError(message(where, ": queries are ", queries.size(), " sequences, keys ",
                               keys.size(), ", expected as many"));
    const char* const columns = "heads * head_features";
    const char* const kv_columns = "kv_heads * head_features";
    require_shape(q, queries.rows(), heads() * d, where, "q", "rows of the queries", columns);
    require_shape(k, keys.rows(), kv_heads() * d, where, "k", "rows of the keys", kv_columns);
    require_shape(v, keys.rows(), kv_heads() * d, where, "v", "rows of the keys", kv_columns);
  }

  // Backward computes again what forward computed, so all of it has to be as it was.
  static void check_frame(const typename Tape<T>::Frame& frame, const ConstMatrixRef<T>& q,
                          const ConstMatrixRef<T>& k, const ConstMatrixRef<T>& v,
                          std::uint64_t layout, const Place& where) {
    frame.mark(0).require_elements(q, where, "q");
    frame.mark(1).require_elements(k, where, "k");
    frame.mark(2).require_elements(v, where, "v");
    if (frame.layout() != layout)
      throw StateError(message(where,
                               ": the sequences lie otherwise than in the forward on the tape: "
                               "keep them as they are until backward"));
  }

  [[nodiscard]] Place place(const char* call) const { return {call, name_}; }

  [[nodiscard]] static std::uint64_t layout_of(const Sequences& queries, const Sequences& keys) {
    return 31 * queries.layout() + keys.layout();
  }

  [[nodiscard]] DropoutMask mask_of(const typename Tape<T>::Frame& frame,
                                    const Sequences& keys) const {
    return {random_, frame.mask_step(), config_.dropout, keys.longest()};
  }

  // Head by head, and within a head sequence by sequence: threads then share the work evenly even
  // where lengths differ.
  template <class Body>
  void for_each_head(const Sequences& queries, const Sequences& keys, Index count,
                     const Body& body) const {
    run_heads(
        queries.size(), count, [&](Index b) { return head_of(queries, keys, b); }, body);
  }

  [[nodiscard]] AttentionHead head_of(const Sequences& queries, const Sequences& keys,
                                      Index b) const {
    return {&queries, &keys, queries[b], keys[b], 0, config_.causal, config_.window.value_or(0)};
  }

  template <class HeadOf, class Body>
  void run_heads(Index sequences, Index count, const HeadOf& head_of_sequence,
                 const Body& body) const {
    double pairs = 0;
    for (Index b = 0; b < sequences; ++b) {
      const AttentionHead at = head_of_sequence(b);
      pairs += static_cast<double>(at.query_count()) * static_cast<double>(at.key_count());
    }
    const double work = pairs * static_cast<double>(heads() * (2 * head_features() + 32));
    const Index tasks = sequences * count;
    parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
      AttentionHead at = head_of_sequence(task % sequences);
      at.head = task / sequences;
      body(at);
    });
  }

  AttentionConfig config_;
  Random random_;
  AttentionKernel<T> kernel_;
  std::string name_;
};

}  // namespace lora
