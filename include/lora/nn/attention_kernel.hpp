#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/product.hpp"
#include "lora/nn/attention_head.hpp"
#include "lora/random/dropout_mask.hpp"

namespace lora {

/// The arithmetic of an Attention for one head of one sequence, on one thread; see Attention, which
/// checks what comes here.
template <class T>
class AttentionKernel {
 public:
  /// Takes valid settings.
  explicit AttentionKernel(const AttentionConfig& config)
      : heads_(config.heads),
        kv_heads_(config.key_heads()),
        head_features_(config.head_features),
        scaling_(static_cast<T>(config.scale())) {}

  /// Sets the rows [from, to) of the sequence, counted from its first row, and the columns of head
  /// `head` to zero.
  void zero_rows(const Sequences::Sequence& sequence, Index head, Index from, Index to,
                 MatrixRef<T> out) const {
    if (from == to) return;  // there may be no memory at all
    const Index d = head_features_;
    out.block(sequence.begin + from, head * d, to - from, d).setZero();
  }

  /// Computes the head's columns of y, and of log_sums its column where it is not null; with a mask
  /// where there is one.
  void forward(const AttentionHead& at, const ConstMatrixRef<T>& q, const ConstMatrixRef<T>& k,
               const ConstMatrixRef<T>& v, MatrixRef<T> y, MatrixRef<T>* log_sums,
               const DropoutMask* mask) const {
    namespace ei = Eigen::internal;
    const Index d = head_features_, begin = at.query_begin(), n = at.query_count();
    const Index kv_begin = at.key_begin();
    const Index column = at.head * d, kv_column = at.head * kv_heads_ / heads_ * d;
    zero_rows(at.query, at.head, 0, at.query.first, y);
    zero_rows(at.query, at.head, at.query.last, at.query.rows, y);
    const Index step = block_rows(at);
    Scratch scratch;
    T* memory = scratch.take<T>(step * at.key_count());
    T* factors = scratch.take<T>(step);
    T* mask_row = scratch.take<T>(mask != nullptr ? at.key_count() : 0);
    for (Index first = 0; first < n; first += step) {
      const Index rows = std::min(step, n - first);
      const VisibleKeys block = at.visible(first, rows);
      const Index keys = block.size(), from = kv_begin + block.begin;
      if (keys <= 0) {
        zero_rows(at.query, at.head, at.query.first + first, at.query.first + first + rows, y);
        continue;
      }
      MatrixRef<T> p(memory, rows, keys, keys);
      p.setZero();
      add_product(p, scaling_, q.block(begin + first, column, rows, d),
                  k.block(from, kv_column, keys, d).transpose());
      for (Index i = 0; i < rows; ++i) {
        const Index query = first + i;
        const VisibleKeys visible = at.visible(query);
        const Index skipped = visible.begin - block.begin, seen = visible.size();
        T* const all = memory + i * keys;
        T* const row = all + skipped;
        if (seen <= 0 || at.query_is_padding(query)) {
          std::fill_n(all, keys, T(0));
          factors[i] = T(0);
          continue;
        }
        hide_padding(at, visible, row);
        const T largest = packets::largest(seen, row);
        const auto shift = ei::pset1<Packet<T>>(largest);
        const T sum = packets::transform_and_sum(
            seen, row,
            [&](const Packet<T>& score) { return packets::exp<T>(ei::psub(score, shift)); }, row);
        std::fill(all, row, T(0));
        std::fill(row + seen, all + keys, T(0));
        // The rows of y are divided instead of those of P, which are longer.
        factors[i] = T(1) / sum;
        if (log_sums != nullptr) (*log_sums)(begin + query, at.head) = largest + std::log(sum);
        if (mask != nullptr) {
          mask->fill(mask_index(at, query), visible.begin, seen, mask_row);
          packets::transform(
              seen, row, [](const Packet<T>& a, const Packet<T>& b) { return ei::pmul(a, b); }, row,
              mask_row);
        }
      }
      MatrixRef<T> out(y.block(begin + first, column, rows, d));
      out.setZero();
      add_product(out, T(1), p, v.block(from, kv_column, keys, d));
      for (Index i = 0; i < rows; ++i) out.row(i) *= factors[i];
    }
  }

  /// Computes what `forward` does, without mask, for all heads of the key head `at.head`. Where
  /// each of them has one query they are the rows of one product: keys and values are read once.
  void forward_group(AttentionHead at, const ConstMatrixRef<T>& q, const ConstMatrixRef<T>& k,
                     const ConstMatrixRef<T>& v, MatrixRef<T> y) const {
    const Index group = heads_ / kv_heads_, key_head = at.head, d = head_features_;
    if (at.query_count() != 1) {
      for (at.head = key_head * group; at.head < (key_head + 1) * group; ++at.head)
        forward(at, q, k, v, y, nullptr, nullptr);
      return;
    }
    const VisibleKeys visible = at.visible(0);
    const Index keys = visible.size(), from = at.key_begin() + visible.begin;
    const Index first = key_head * group * d;
    const T* q_row = q.data() + at.query_begin() * q.outerStride() + first;
    T* y_row = y.data() + at.query_begin() * y.outerStride() + first;
    Scratch scratch;
    T* memory = scratch.take<T>(group * keys);
    MatrixRef<T> p(memory, group, keys, keys), out(y_row, group, d, d);
    p.setZero();
    add_product(p, scaling_, ConstMatrixRef<T>(q_row, group, d, d),
                k.block(from, key_head * d, keys, d).transpose());
    out.setZero();  // q is read no more, and may be y
    for (Index h = 0; h < group; ++h) softmax(memory + h * keys, keys);
    add_product(out, T(1), p, v.block(from, key_head * d, keys, d));
  }

  /// Computes the head's columns of dq and adds to those of dk and dv.
  void backward(const AttentionHead& at, const ConstMatrixRef<T>& q, const ConstMatrixRef<T>& k,
                const ConstMatrixRef<T>& v, const ConstMatrixRef<T>& dy,
                const MatrixRef<T>& log_sums, const DropoutMask* mask, MatrixRef<T> dq,
                MatrixRef<T> dk, MatrixRef<T> dv) const {
    namespace ei = Eigen::internal;
    const Index d = head_features_, begin = at.query_begin(), n = at.query_count();
    const Index kv_begin = at.key_begin();
    const Index column = at.head * d, kv_column = at.head * kv_heads_ / heads_ * d;
    zero_rows(at.query, at.head, 0, at.query.first, dq);
    zero_rows(at.query, at.head, at.query.last, at.query.rows, dq);
    const Index step = block_rows(at);
    Scratch scratch;
    T* p_memory = scratch.take<T>(step * at.key_count());
    T* ds_memory = scratch.take<T>(step * at.key_count());
    T* mask_row = scratch.take<T>(mask != nullptr ? at.key_count() : 0);
    for (Index first = 0; first < n; first += step) {
      const Index rows = std::min(step, n - first);
      const VisibleKeys block = at.visible(first, rows);
      const Index keys = block.size(), from = kv_begin + block.begin;
      if (keys <= 0) {
        zero_rows(at.query, at.head, at.query.first + first, at.query.first + first + rows, dq);
        continue;
      }
      const auto q_rows = q.block(begin + first, column, rows, d);
      const auto dy_rows = dy.block(begin + first, column, rows, d);
      const auto k_rows = k.block(from, kv_column, keys, d);
      const auto v_rows = v.block(from, kv_column, keys, d);
      MatrixRef<T> p(p_memory, rows, keys, keys), ds(ds_memory, rows, keys, keys);
      p.setZero();
      add_product(p, scaling_, q_rows, k_rows.transpose());
      ds.setZero();
      add_product(ds, T(1), dy_rows, v_rows.transpose());  // dP before the mask
      for (Index i = 0; i < rows; ++i) {
        const Index query = first + i;
        const VisibleKeys visible = at.visible(query);
        const Index skipped = visible.begin - block.begin, seen = visible.size();
        T* const all_p = p_memory + i * keys;
        T* const all_ds = ds_memory + i * keys;
        T* const p_row = all_p + skipped;
        T* const ds_row = all_ds + skipped;
        if (seen <= 0 || at.query_is_padding(query)) {
          std::fill_n(all_p, keys, T(0));
          std::fill_n(all_ds, keys, T(0));
          continue;
        }
        hide_padding(at, visible, p_row);
        const auto shift = ei::pset1<Packet<T>>(log_sums(begin + query, at.head));
        packets::transform(
            seen, p_row,
            [&](const Packet<T>& score) { return packets::exp<T>(ei::psub(score, shift)); }, p_row);
        const auto multiply = [](const Packet<T>& a, const Packet<T>& b) { return ei::pmul(a, b); };
        if (mask != nullptr) {
          mask->fill(mask_index(at, query), visible.begin, seen, mask_row);
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
        std::fill(all_p, p_row, T(0));
        std::fill(p_row + seen, all_p + keys, T(0));
        std::fill(all_ds, ds_row, T(0));
        std::fill(ds_row + seen, all_ds + keys, T(0));
      }
      add_product(MatrixRef<T>(dv.block(from, kv_column, keys, d)), T(1), p.transpose(), dy_rows);
      // Last, because dq may be dy.
      MatrixRef<T> dq_rows(dq.block(begin + first, column, rows, d));
      dq_rows.setZero();
      add_product(dq_rows, scaling_, ds, k_rows);
      add_product(MatrixRef<T>(dk.block(from, kv_column, keys, d)), scaling_, ds.transpose(),
                  q_rows);
    }
  }

 private:
  // Queries that are taken at a time: their probabilities stay in the second-level cache, and of a
  // causal attention little is computed that no query sees.
  [[nodiscard]] static Index block_rows(const AttentionHead& at) {
    constexpr Index elements = Index{1} << 15, causal_rows = 64;
    const Index fitting = std::max<Index>(16, elements / std::max<Index>(1, at.key_count()));
    return std::min({at.query_count(), fitting, at.causal ? causal_rows : fitting});
  }

  static void softmax(T* row, Index size) {
    namespace ei = Eigen::internal;
    const auto shift = ei::pset1<Packet<T>>(packets::largest(size, row));
    const T sum = packets::transform_and_sum(
        size, row, [&](const Packet<T>& score) { return packets::exp<T>(ei::psub(score, shift)); },
        row);
    const auto factor = ei::pset1<Packet<T>>(T(1) / sum);
    packets::transform(
        size, row, [&](const Packet<T>& e) { return ei::pmul(e, factor); }, row);
  }

  // Scores of padding inside the run become so low that their exponential is zero: a finite number,
  // because under -ffast-math infinities are not what they were. The first key is a token, so the
  // largest score is another one.
  static void hide_padding(const AttentionHead& at, const VisibleKeys& visible, T* scores) {
    if (!at.key.holes) return;
    for (Index j = 0; j < visible.size(); ++j)
      if (at.key_is_padding(visible.begin + j)) scores[j] = std::numeric_limits<T>::lowest() / 2;
  }

  // The mask's row of a query: one for each head and row of the activations.
  static Index mask_index(const AttentionHead& at, Index query) {
    return at.head * at.queries->rows() + at.query_begin() + query;
  }

  Index heads_, kv_heads_, head_features_;
  T scaling_;
};

}  // namespace lora
