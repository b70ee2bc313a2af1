#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "lora/core/number_checks.hpp"
#include "lora/core/output.hpp"
#include "lora/core/packets.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/place.hpp"
#include "lora/core/scratch.hpp"
#include "lora/core/tape.hpp"
#include "lora/kernels/product.hpp"
#include "lora/nn/sequences.hpp"
#include "lora/random/dropout_mask.hpp"
#include "lora/random/random.hpp"

namespace lora {

/// Settings of an Attention.
struct AttentionConfig {
  Index heads = 1;                     ///< H, of the queries
  Index head_features = 1;             ///< D, columns of one head
  std::optional<Index> kv_heads = {};  ///< G, of keys and values: a divisor of H; H if left out
  bool causal = false;                 ///< a token sees itself and what stands before it; with
                                       ///< keys apart from queries, the last of each are one token
  double dropout = 0;                  ///< in [0, 1): of the probabilities, in training
  std::optional<double> scaling = {};  ///< of q k^T; 1 / sqrt(D) if left out
};

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
  /// names. Throws ConfigError for sizes below 1, heads that kv_heads does not divide, dropout
  /// outside [0, 1) and a scaling that is not finite.
  explicit Attention(const AttentionConfig& config, std::uint64_t seed = 0,
                     std::uint64_t substream = 0)
      : config_(config),
        kv_heads_(config.kv_heads.value_or(config.heads)),
        random_(seed, RandomStream::dropout, substream) {
    if (config.heads < 1 || config.head_features < 1 || kv_heads_ < 1 ||
        config.heads % kv_heads_ != 0)
      throw ConfigError(message("Attention: heads = ", config.heads, ", kv_heads = ", kv_heads_,
                                ", head_features = ", config.head_features,
                                ", expected at least 1 each and heads a multiple of kv_heads"));
    require_below_one(config.dropout, "Attention", "dropout");
    const double scaling =
        config.scaling.value_or(1 / std::sqrt(static_cast<double>(config.head_features)));
    require_finite(scaling, "Attention", "scaling");
    scaling_ = static_cast<T>(scaling);
  }

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
    for_each_head(queries, keys, heads(),
                  [&](const Head& at) { forward_head(at, q, k, v, out, nullptr, nullptr); });
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
    for_each_head(queries, keys, heads(), [&](const Head& at) {
      forward_head(at, q, k, v, out, &log_sums, config_.dropout > 0 ? &mask : nullptr);
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
    const Index group = heads() / kv_heads_;
    for_each_head(queries, keys, kv_heads_, [&](Head at) {
      const Index g = at.head;
      zero_rows(*at.key, g, 0, at.key->rows, dk_out);
      zero_rows(*at.key, g, 0, at.key->rows, dv_out);
      for (at.head = g * group; at.head < (g + 1) * group; ++at.head)
        backward_head(at, q, k, v, dy, log_sums, config_.dropout > 0 ? &mask : nullptr, dq_out,
                      dk_out, dv_out);
    });
    tape.pop();
  }

  [[nodiscard]] const AttentionConfig& config() const { return config_; }
  [[nodiscard]] Index heads() const { return config_.heads; }
  [[nodiscard]] Index kv_heads() const { return kv_heads_; }
  [[nodiscard]] Index head_features() const { return config_.head_features; }
  [[nodiscard]] const std::string& name() const { return name_; }

  /// Names the layer in messages; it has nothing that files would know by a name.
  void set_name(const std::string& name) { name_ = name; }

 private:
  // One head of one sequence.
  struct Head {
    const Sequences* queries;
    const Sequences* keys;
    const Sequences::Sequence* query;
    const Sequences::Sequence* key;
    Index head;

    [[nodiscard]] Index query_begin() const { return query->begin + query->first; }
    [[nodiscard]] Index query_count() const { return query->last - query->first; }
    [[nodiscard]] Index key_begin() const { return key->begin + key->first; }
    [[nodiscard]] Index key_count() const { return key->last - key->first; }
    [[nodiscard]] bool query_is_padding(Index i) const {
      return query->holes && !queries->is_token(query_begin() + i);
    }
    [[nodiscard]] bool key_is_padding(Index j) const {
      return key->holes && !keys->is_token(key_begin() + j);
    }
  };

  void check(const ConstMatrixRef<T>& q, const ConstMatrixRef<T>& k, const ConstMatrixRef<T>& v,
             const Sequences& queries, const Sequences& keys, const Place& where) const {
    const Index d = head_features();
    if (queries.size() != keys.size())
      throw ShapeError(message(where, ": queries are ", queries.size(), " sequences, keys ",
                               keys.size(), ", expected as many"));
    const char* const columns = "heads * head_features";
    const char* const kv_columns = "kv_heads * head_features";
    require_shape(q, queries.rows(), heads() * d, where, "q", "rows of the queries", columns);
    require_shape(k, keys.rows(), kv_heads_ * d, where, "k", "rows of the keys", kv_columns);
    require_shape(v, keys.rows(), kv_heads_ * d, where, "v", "rows of the keys", kv_columns);
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
    double pairs = 0;
    for (Index b = 0; b < queries.size(); ++b)
      pairs += static_cast<double>(queries[b].last - queries[b].first) *
               static_cast<double>(keys[b].last - keys[b].first);
    const double work = pairs * static_cast<double>(heads() * (2 * head_features() + 32));
    const Index tasks = queries.size() * count;
    parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
      const Index b = task % queries.size();
      body(Head{&queries, &keys, &queries[b], &keys[b], task / queries.size()});
    });
  }

  // Queries that are taken at a time: their probabilities stay in the second-level cache.
  [[nodiscard]] static Index block_rows(const Head& at) {
    constexpr Index elements = Index{1} << 15;
    return std::min(at.query_count(),
                    std::max<Index>(16, elements / std::max<Index>(1, at.key_count())));
  }

  // Returns how many keys, from the first, query `i` sees.
  [[nodiscard]] Index visible(const Head& at, Index i) const {
    if (!config_.causal) return at.key_count();
    return std::max<Index>(0, at.key_count() - at.query_count() + i + 1);
  }

  // Rows [from, to) of the sequence, columns of head `head`.
  void zero_rows(const Sequences::Sequence& sequence, Index head, Index from, Index to,
                 MatrixRef<T> out) const {
    if (from == to) return;  // there may be no memory at all
    const Index d = head_features();
    out.block(sequence.begin + from, head * d, to - from, d).setZero();
  }

  void forward_head(const Head& at, const ConstMatrixRef<T>& q, const ConstMatrixRef<T>& k,
                    const ConstMatrixRef<T>& v, MatrixRef<T> y, MatrixRef<T>* log_sums,
                    const DropoutMask* mask) const {
    namespace ei = Eigen::internal;
    const Index d = head_features(), begin = at.query_begin(), n = at.query_count();
    const Index kv_begin = at.key_begin();
    const Index column = at.head * d, kv_column = at.head * kv_heads_ / heads() * d;
    zero_rows(*at.query, at.head, 0, at.query->first, y);
    zero_rows(*at.query, at.head, at.query->last, at.query->rows, y);
    const Index step = block_rows(at);
    Scratch scratch;
    T* memory = scratch.take<T>(step * at.key_count());
    T* factors = scratch.take<T>(step);
    T* mask_row = scratch.take<T>(mask != nullptr ? at.key_count() : 0);
    for (Index first = 0; first < n; first += step) {
      const Index rows = std::min(step, n - first), keys = visible(at, first + rows - 1);
      MatrixRef<T> p(memory, rows, keys, keys);
      p.setZero();
      add_product(p, scaling_, q.block(begin + first, column, rows, d),
                  k.block(kv_begin, kv_column, keys, d).transpose());
      for (Index i = 0; i < rows; ++i) {
        const Index query = first + i, seen = visible(at, query);
        T* row = memory + i * keys;
        if (seen == 0 || at.query_is_padding(query)) {
          std::fill_n(row, keys, T(0));
          factors[i] = T(0);
          continue;
        }
        hide_padding(at, seen, row);
        const T largest = packets::largest(seen, row);
        const auto shift = ei::pset1<Packet<T>>(largest);
        const T sum = packets::transform_and_sum(
            seen, row,
            [&](const Packet<T>& score) { return packets::exp<T>(ei::psub(score, shift)); }, row);
        std::fill(row + seen, row + keys, T(0));
        // The rows of y are divided instead of those of P, which are longer.
        factors[i] = T(1) / sum;
        if (log_sums != nullptr) (*log_sums)(begin + query, at.head) = largest + std::log(sum);
        if (mask != nullptr) {
          mask->fill(mask_index(at, query), 0, seen, mask_row);
          packets::transform(
              seen, row, [](const Packet<T>& a, const Packet<T>& b) { return ei::pmul(a, b); }, row,
              mask_row);
        }
      }
      MatrixRef<T> out(y.block(begin + first, column, rows, d));
      out.setZero();
      add_product(out, T(1), p, v.block(kv_begin, kv_column, keys, d));
      for (Index i = 0; i < rows; ++i) out.row(i) *= factors[i];
    }
  }

  void backward_head(const Head& at, const ConstMatrixRef<T>& q, const ConstMatrixRef<T>& k,
                     const ConstMatrixRef<T>& v, const ConstMatrixRef<T>& dy,
                     const MatrixRef<T>& log_sums, const DropoutMask* mask, MatrixRef<T> dq,
                     MatrixRef<T> dk, MatrixRef<T> dv) const {
    namespace ei = Eigen::internal;
    const Index d = head_features(), begin = at.query_begin(), n = at.query_count();
    const Index kv_begin = at.key_begin();
    const Index column = at.head * d, kv_column = at.head * kv_heads_ / heads() * d;
    zero_rows(*at.query, at.head, 0, at.query->first, dq);
    zero_rows(*at.query, at.head, at.query->last, at.query->rows, dq);
    const Index step = block_rows(at);
    Scratch scratch;
    T* p_memory = scratch.take<T>(step * at.key_count());
    T* ds_memory = scratch.take<T>(step * at.key_count());
    T* mask_row = scratch.take<T>(mask != nullptr ? at.key_count() : 0);
    for (Index first = 0; first < n; first += step) {
      const Index rows = std::min(step, n - first), keys = visible(at, first + rows - 1);
      const auto q_rows = q.block(begin + first, column, rows, d);
      const auto dy_rows = dy.block(begin + first, column, rows, d);
      const auto k_rows = k.block(kv_begin, kv_column, keys, d);
      const auto v_rows = v.block(kv_begin, kv_column, keys, d);
      MatrixRef<T> p(p_memory, rows, keys, keys), ds(ds_memory, rows, keys, keys);
      p.setZero();
      add_product(p, scaling_, q_rows, k_rows.transpose());
      ds.setZero();
      add_product(ds, T(1), dy_rows, v_rows.transpose());  // dP before the mask
      for (Index i = 0; i < rows; ++i) {
        const Index query = first + i, seen = visible(at, query);
        T* p_row = p_memory + i * keys;
        T* ds_row = ds_memory + i * keys;
        if (seen == 0 || at.query_is_padding(query)) {
          std::fill_n(p_row, keys, T(0));
          std::fill_n(ds_row, keys, T(0));
          continue;
        }
        hide_padding(at, seen, p_row);
        const auto shift = ei::pset1<Packet<T>>(log_sums(begin + query, at.head));
        packets::transform(
            seen, p_row,
            [&](const Packet<T>& score) { return packets::exp<T>(ei::psub(score, shift)); }, p_row);
        const auto multiply = [](const Packet<T>& a, const Packet<T>& b) { return ei::pmul(a, b); };
        if (mask != nullptr) {
          mask->fill(mask_index(at, query), 0, seen, mask_row);
          packets::transform(seen, ds_row, multiply, ds_row, mask_row);
        }
        const auto mean = ei::pset1<Packet<T>>(packets::sum<T>(seen, multiply, p_row, ds_row));
        packets::transform(
            seen, ds_row,
            [&](const Packet<T>& probability, const Packet<T>& dp) {
              return ei::pmul(probability, ei::psub(dp, mean));
            },
            p_row, ds_row);
        if (mask != nullptr) packets::transform(seen, p_row, multiply, p_row, mask_row);
        std::fill(p_row + seen, p_row + keys, T(0));
        std::fill(ds_row + seen, ds_row + keys, T(0));
      }
      add_product(MatrixRef<T>(dv.block(kv_begin, kv_column, keys, d)), T(1), p.transpose(),
                  dy_rows);
      // Last, because dq may be dy.
      MatrixRef<T> dq_rows(dq.block(begin + first, column, rows, d));
      dq_rows.setZero();
      add_product(dq_rows, scaling_, ds, k_rows);
      add_product(MatrixRef<T>(dk.block(kv_begin, kv_column, keys, d)), scaling_, ds.transpose(),
                  q_rows);
    }
  }

  // Scores of padding inside the run become so low that their exponential is zero: a finite number,
  // because under -ffast-math infinities are not what they were. The first key is a token, so the
  // largest score is another one.
  static void hide_padding(const Head& at, Index seen, T* scores) {
    if (!at.key->holes) return;
    for (Index j = 0; j < seen; ++j)
      if (at.key_is_padding(j)) scores[j] = std::numeric_limits<T>::lowest() / 2;
  }

  // The mask's row of a query: one for each head and row of the activations.
  static Index mask_index(const Head& at, Index query) {
    return at.head * at.queries->rows() + at.query_begin() + query;
  }

  AttentionConfig config_;
  Index kv_heads_;
  Random random_;
  T scaling_ = T(1);
  std::string name_;
};

}  // namespace lora
