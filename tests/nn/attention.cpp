#include <lora/nn/attention.hpp>

#include <rapidcheck.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/golden.hpp"
#include "support/output_memory.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

template <class T>
struct Inputs {
  Inputs(Index n, const AttentionConfig& config) : Inputs(n, n, config) {}

  Inputs(Index queries, Index keys, const AttentionConfig& config)
      : q(2 * random_matrix<T>(queries, config.heads * config.head_features, 1)),
        k(2 * random_matrix<T>(keys, kv(config) * config.head_features, 2)),
        v(random_matrix<T>(keys, kv(config) * config.head_features, 3)),
        dy(random_matrix<T>(queries, config.heads * config.head_features, 4)) {}

  static Index kv(const AttentionConfig& config) { return config.kv_heads.value_or(config.heads); }

  Matrix<T> q, k, v, dy;
};

// By the definition, one token after the other, in double.
template <class T>
Matrix<double> naive_attention(const Inputs<T>& in, const AttentionConfig& config,
                               const Sequences& queries, const Sequences& keys) {
  const Index d = config.head_features;
  const Index group = config.heads / Inputs<T>::kv(config);
  const double scaling = config.scaling.value_or(1 / std::sqrt(static_cast<double>(d)));
  Matrix<double> y = Matrix<double>::Zero(in.q.rows(), in.q.cols());
  for (Index b = 0; b < queries.size(); ++b)
    for (Index h = 0; h < config.heads; ++h)
      for (Index i = 0; i < queries[b].rows; ++i) {
        const Index row = queries[b].begin + i;
        if (!queries.is_token(row)) continue;
        // The last query's run ends where the last key's does.
        const Index last = queries.selected() ? queries.positions()[static_cast<std::size_t>(row)]
                                              : i - queries[b].last + keys[b].last;
        const auto sees = [&](Index j) {
          return keys.is_token(keys[b].begin + j) && (!config.causal || j <= last) &&
                 (!config.window || j > last - *config.window);
        };
        const auto weight = [&](Index j) {
          double score = 0;
          for (Index c = 0; c < d; ++c)
            score += static_cast<double>(in.q(row, h * d + c)) *
                     static_cast<double>(in.k(keys[b].begin + j, h / group * d + c));
          return std::exp(scaling * score);
        };
        double sum = 0;
        for (Index j = 0; j < keys[b].rows; ++j) {
          if (!sees(j)) continue;
          sum += weight(j);
          for (Index c = 0; c < d; ++c)
            y(row, h * d + c) +=
                weight(j) * static_cast<double>(in.v(keys[b].begin + j, h / group * d + c));
        }
        if (sum > 0) y.row(row).segment(h * d, d) /= sum;
      }
  return y;
}

const std::vector<int> mask_with_holes{1, 1, 1, 1, 1, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0};

void check_attention_gradients(const AttentionConfig& config, const Sequences& queries,
                               const Sequences& keys) {
  Inputs<double> in(queries.rows(), keys.rows(), config);
  const Attention<double> attention(config, 5);
  Tape<double> tape;
  Matrix<double> y, dq, dk, dv;
  attention.forward(in.q, in.k, in.v, queries, keys, tape, y);
  attention.backward(in.q, in.k, in.v, in.dy, queries, keys, tape, dq, dk, dv);
  CHECK(tape.empty());
  const auto loss = [&] {
    Tape<double> fresh;
    attention.forward(in.q, in.k, in.v, queries, keys, fresh, y);
    return (y.array() * in.dy.array()).sum();
  };
  CHECK(relative_error(dq, finite_difference(in.q, loss)) < 1e-6);
  CHECK(relative_error(dk, finite_difference(in.k, loss)) < 1e-6);
  CHECK(relative_error(dv, finite_difference(in.v, loss)) < 1e-6);
}

}  // namespace

TEMPLATE_TEST_CASE("attention is softmax(q k^T) v over the tokens that a token sees", "", float,
                   double) {
  using T = TestType;
  const std::vector<Sequences> batches{Sequences::padded(std::array{5, 0, 1, 3}, 5),
                                       Sequences::masked(mask_with_holes, 5),
                                       Sequences::packed(std::array{7, 1, 0, 40}),
                                       Sequences::packed(std::array{300}), Sequences::packed({})};
  for (const auto& sequences : batches)
    for (const bool causal : {false, true})
      for (const Index kv_heads : {1, 2, 4}) {
        const AttentionConfig config{
            .heads = 4, .head_features = 5, .kv_heads = kv_heads, .causal = causal};
        CAPTURE(sequences.rows(), causal, kv_heads);
        const Inputs<T> in(sequences.rows(), config);
        const Attention<T> attention(config);
        Matrix<T> y, trained, in_place = in.q;
        attention.forward(in.q, in.k, in.v, sequences, y);
        // Scores of up to 10 magnify their rounding by as much.
        CHECK(largest_difference(y, naive_attention(in, config, sequences, sequences)) <=
              Tolerance<T>(sequences.longest() + 5, 10).value);
        Tape<T> tape;
        attention.forward(in.q, in.k, in.v, sequences, tape, trained);
        CHECK(same_bits(trained, y));
        attention.forward(in_place, in.k, in.v, sequences, in_place);
        CHECK(same_bits(in_place, y));
        for (Index row = 0; row < y.rows(); ++row)
          if (!sequences.is_token(row)) CHECK(y.row(row).isZero(0));
      }
}

TEST_CASE("attention's gradients agree with finite differences") {
  const auto padded = Sequences::padded(std::array{5, 0, 1, 3}, 5);
  const auto masked = Sequences::masked(mask_with_holes, 5);
  for (const auto* sequences : {&padded, &masked})
    for (const bool causal : {false, true})
      for (const double dropout : {0.0, 0.4})
        for (const Index kv_heads : {1, 3}) {
          CAPTURE(causal, dropout, kv_heads);
          check_attention_gradients({.heads = 3,
                                     .head_features = 4,
                                     .kv_heads = kv_heads,
                                     .causal = causal,
                                     .dropout = dropout,
                                     .scaling = 0.7},
                                    *sequences, *sequences);
        }
}

TEST_CASE("attention's gradients agree across blocks of queries") {
  // 200 tokens are taken in two blocks.
  for (const bool causal : {false, true})
    check_attention_gradients({.head_features = 2, .causal = causal, .dropout = 0.2},
                              Sequences::packed(std::array{200}),
                              Sequences::packed(std::array{200}));
}

TEST_CASE("within a window a token sees itself and the tokens just before it") {
  for (const auto& sequences :
       {Sequences::padded(std::array{5, 0, 1, 3}, 5), Sequences::masked(mask_with_holes, 5),
        Sequences::packed(std::array{7, 1, 0, 200})})
    for (const Index window : {1, 3, 70, 500}) {
      CAPTURE(sequences.rows(), window);
      const AttentionConfig config{
          .heads = 4, .head_features = 5, .kv_heads = 2, .causal = true, .window = window};
      const Inputs<double> in(sequences.rows(), config);
      Matrix<double> y, all;
      Attention<double>(config).forward(in.q, in.k, in.v, sequences, y);
      CHECK(largest_difference(y, naive_attention(in, config, sequences, sequences)) < 1e-12);
      if (window < 500) continue;
      AttentionConfig full = config;
      full.window.reset();
      Attention<double>(full).forward(in.q, in.k, in.v, sequences, all);
      CHECK(same_bits(y, all));
    }
}

TEST_CASE("a window's gradients agree with finite differences") {
  const auto masked = Sequences::masked(mask_with_holes, 5);
  for (const double dropout : {0.0, 0.4})
    check_attention_gradients({.heads = 2,
                               .head_features = 4,
                               .kv_heads = 1,
                               .causal = true,
                               .window = 2,
                               .dropout = dropout},
                              masked, masked);
  const auto long_one = Sequences::packed(std::array{150});
  check_attention_gradients({.head_features = 2, .causal = true, .window = 20}, long_one, long_one);
}

TEST_CASE("chosen rows alone get what all rows get, and gradients that agree with differences") {
  const auto all = Sequences::packed(std::array{70, 2, 0, 9});
  std::vector<Index> rows{0, 3, 4, 30, 66, 69, 72, 80};
  Sequences chosen;
  chosen.set_selected(all, rows);
  for (const std::optional<Index> window : {std::optional<Index>(), std::optional<Index>(3)}) {
    const AttentionConfig config{
        .heads = 4, .head_features = 3, .kv_heads = 2, .causal = true, .window = window};
    const Inputs<double> in(all.rows(), config);
    const Attention<double> attention(config);
    Matrix<double> whole, part, q(static_cast<Index>(rows.size()), in.q.cols());
    attention.forward(in.q, in.k, in.v, all, whole);
    for (std::size_t i = 0; i < rows.size(); ++i) q.row(static_cast<Index>(i)) = in.q.row(rows[i]);
    attention.forward(q, in.k, in.v, chosen, all, part);
    for (std::size_t i = 0; i < rows.size(); ++i)
      CHECK(largest_difference(part.row(static_cast<Index>(i)), whole.row(rows[i])) < 1e-12);
    check_attention_gradients(config, chosen, all);
  }
}

TEST_CASE("attention over a cache gives new tokens what attention over whole sequences gives") {
  const Index kv_heads = 2;
  for (const std::optional<Index> window : {std::optional<Index>(), std::optional<Index>(4)}) {
    const AttentionConfig config{
        .heads = 6, .head_features = 5, .kv_heads = kv_heads, .causal = true, .window = window};
    const std::vector<int> lengths{9, 6, 7};
    const Sequences sequences = Sequences::packed(lengths);
    const Inputs<double> in(sequences.rows(), config);
    const Attention<double> attention(config);
    Matrix<double> whole;
    attention.forward(in.q, in.k, in.v, sequences, whole);
    KVCache<double> cache(2, 3, 9, kv_heads * 5);
    // First parts of different lengths, then one token each, of some of the sequences.
    const std::vector<std::vector<int>> steps{
        {5, 1, 7}, {1, 1, 0}, {1, 1, 0}, {0, 3, 0}, {2, 0, 0}};
    for (const std::vector<int>& counts : steps) {
      const auto rows_of = [&](const Matrix<double>& x) {
        Matrix<double> rows(cache.rows_of(counts), x.cols());
        Index row = 0;
        for (Index b = 0; b < 3; ++b)
          for (Index i = 0; i < counts[static_cast<std::size_t>(b)]; ++i)
            rows.row(row++) = x.row(sequences[b].begin + cache.length(b) + i);
        return rows;
      };
      const Matrix<double> q = rows_of(in.q), k = rows_of(in.k), v = rows_of(in.v);
      cache.append(1, counts, k, v);
      Matrix<double> y, in_place = q;
      attention.forward(q, cache, 1, counts, y);
      CHECK(largest_difference(y, rows_of(whole)) < 1e-12);
      attention.forward(in_place, cache, 1, counts, in_place);
      CHECK(same_bits(in_place, y));
      for (const int threads : {1, 2, 3}) {
        const Threads use(threads);
        Matrix<double> again;
        attention.forward(q, cache, 1, counts, again);
        CHECK(same_bits(again, y));
      }
      const Threads countable(countable_threads(2));
      const auto step = [&] { attention.forward(q, cache, 1, counts, y); };
      step();
      CHECK(allocations_of(step).count == 0);
      cache.commit(counts);
    }
    const std::vector<int> one{1, 1, 1};
    const Matrix<double> q = random_matrix<double>(3, 30, 1);
    Matrix<double> y;
    check_throws<ShapeError>([&] { attention.forward(q, cache, 2, one, y); }, "layer is 2");
    check_throws<ShapeError>([&] { attention.forward(q, cache, 0, one, y); },
                             "sequence 0 holds 9 tokens and gets 1, expected 0 to 0");
    cache.clear();
    const Attention<double> two_way({.heads = 6, .head_features = 5, .kv_heads = 2});
    check_throws<ConfigError>([&] { two_way.forward(q, cache, 0, one, y); }, "causal");
    const Attention<double> other({.heads = 6, .head_features = 5, .causal = true});
    check_throws<ShapeError>([&] { other.forward(q, cache, 0, one, y); }, "kv_features = 10");
  }
}

TEST_CASE("queries may be other rows than keys, more, fewer or none") {
  // More queries than keys: with `causal` the first see nothing, and get zeros.
  const auto queries = Sequences::packed(std::array{1, 0, 2, 4, 3});
  const auto masked = Sequences::masked(mask_with_holes, 4);
  const auto padded = Sequences::padded(std::array{4, 2, 0, 1, 3}, 4);
  for (const auto* keys : {&masked, &padded})
    for (const bool causal : {false, true})
      for (const double dropout : {0.0, 0.4}) {
        CAPTURE(causal, dropout);
        const AttentionConfig config{
            .heads = 4, .head_features = 5, .kv_heads = 2, .causal = causal, .dropout = dropout};
        check_attention_gradients(config, queries, *keys);
        const Inputs<double> in(queries.rows(), keys->rows(), config);
        Matrix<double> y;
        Attention<double>(config).forward(in.q, in.k, in.v, queries, *keys, y);
        CHECK(largest_difference(y, naive_attention(in, config, queries, *keys)) < 1e-12);
      }
}

TEST_CASE("the last queries alone get what all of them get") {
  const AttentionConfig config{.heads = 2, .head_features = 8, .causal = true};
  const auto keys = Sequences::packed(std::array{9, 1, 30});
  const auto last = Sequences::packed(std::array{1, 1, 1});
  const Inputs<float> in(keys.rows(), config);
  const Attention<float> attention(config);
  Matrix<float> q(3, in.q.cols()), expected(3, in.q.cols()), all, y;
  attention.forward(in.q, in.k, in.v, keys, all);
  for (Index b = 0; b < 3; ++b) {
    const Index row = keys[b].begin + keys[b].rows - 1;
    q.row(b) = in.q.row(row);
    expected.row(b) = all.row(row);
  }
  attention.forward(q, in.k, in.v, last, keys, y);
  // The kernel of one row may sum in another order.
  CHECK(largest_difference(y, expected) <= Tolerance<float>(30 + 8, 10).value);
}

TEST_CASE("attention and its gradients are PyTorch's") {
  const Golden<float> golden("nn_attention_f32");
  std::vector<int> mask;
  for (Index i = 0; i < golden["mask"].size(); ++i)
    mask.push_back(static_cast<int>(golden["mask"].data()[i]));
  const auto sequences = Sequences::masked(mask, golden["mask"].cols());
  for (const std::string name : {"plain", "causal", "grouped"}) {
    CAPTURE(name);
    const Attention<float> attention({.heads = 4,
                                      .head_features = 3,
                                      .kv_heads = name == "grouped" ? 2 : 4,
                                      .causal = name == "causal"});
    const auto& q = golden[name + "_q"];
    const auto& k = golden[name + "_k"];
    const auto& v = golden[name + "_v"];
    Tape<float> tape;
    Matrix<float> y, dq, dk, dv;
    attention.forward(q, k, v, sequences, tape, y);
    attention.backward(q, k, v, golden[name + "_dy"], sequences, tape, dq, dk, dv);
    const double tolerance = Tolerance<float>(6 + 3, 4).value;
    CHECK(largest_difference(y, golden[name + "_y"]) <= tolerance);
    CHECK(largest_difference(dq, golden[name + "_dq"]) <= tolerance);
    CHECK(largest_difference(dk, golden[name + "_dk"]) <= tolerance);
    CHECK(largest_difference(dv, golden[name + "_dv"]) <= tolerance);
  }
}

TEST_CASE("padding changes nothing: packed, padded and masked batches agree, over random lengths") {
  const bool held = rc::check("padding", [] {
    const AttentionConfig config{
        .heads = 2, .head_features = 3, .causal = *rc::gen::arbitrary<bool>()};
    const auto lengths = *rc::gen::container<std::vector<int>>(4, rc::gen::inRange(0, 9));
    const auto packed = Sequences::packed(lengths), padded = Sequences::padded(lengths, 8);
    const Inputs<float> in(padded.rows(), config);
    const Attention<float> attention(config);
    const auto tokens_of = [&](const Matrix<float>& all) {
      Matrix<float> tokens(padded.tokens(), all.cols());
      Index next = 0;
      for (Index row = 0; row < padded.rows(); ++row)
        if (padded.is_token(row)) tokens.row(next++) = all.row(row);
      return tokens;
    };
    Tape<float> tape;
    Matrix<float> y, dq, dk, dv, y_packed, dq_packed, dk_packed, dv_packed;
    attention.forward(in.q, in.k, in.v, padded, tape, y);
    attention.backward(in.q, in.k, in.v, in.dy, padded, tape, dq, dk, dv);
    const Matrix<float> q = tokens_of(in.q), k = tokens_of(in.k), v = tokens_of(in.v);
    attention.forward(q, k, v, packed, tape, y_packed);
    attention.backward(q, k, v, tokens_of(in.dy), packed, tape, dq_packed, dk_packed, dv_packed);
    RC_ASSERT(same_bits(tokens_of(y), y_packed));
    RC_ASSERT(same_bits(tokens_of(dq), dq_packed));
    RC_ASSERT(same_bits(tokens_of(dk), dk_packed));
    RC_ASSERT(same_bits(tokens_of(dv), dv_packed));
    RC_ASSERT(y.allFinite() && dq.allFinite() && dk.allFinite() && dv.allFinite());
  });
  CHECK(held);
}

TEST_CASE("a batch of padding only gives zeros, not NaN") {
  const AttentionConfig config{.heads = 2, .head_features = 3, .dropout = 0.1};
  const auto sequences = Sequences::padded(std::array{0, 0}, 4);
  const Inputs<float> in(8, config);
  const Attention<float> attention(config);
  Tape<float> tape;
  Matrix<float> y, dq, dk, dv;
  attention.forward(in.q, in.k, in.v, sequences, tape, y);
  attention.backward(in.q, in.k, in.v, in.dy, sequences, tape, dq, dk, dv);
  for (const auto* matrix : {&y, &dq, &dk, &dv}) CHECK((matrix->rows() == 8 && matrix->isZero(0)));
}

TEST_CASE("attention survives scores whose exponentials overflow") {
  const AttentionConfig config{.heads = 1, .head_features = 2};
  Inputs<float> in(6, config);
  in.q *= 1e4F;
  in.k *= 1e4F;
  const auto sequences = Sequences::packed(std::array{6});
  const Attention<float> attention(config);
  Tape<float> tape;
  Matrix<float> y, dq, dk, dv;
  attention.forward(in.q, in.k, in.v, sequences, tape, y);
  attention.backward(in.q, in.k, in.v, in.dy, sequences, tape, dq, dk, dv);
  CHECK((y.allFinite() && dq.allFinite() && dk.allFinite() && dv.allFinite()));
}

TEST_CASE("attention keeps one number a token and head, and dq may be dy") {
  const AttentionConfig config{.heads = 3, .head_features = 8, .dropout = 0.1};
  const auto sequences = Sequences::packed(std::array{200, 56});
  Inputs<float> in(256, config);
  const Attention<float> attention(config, 3);
  Tape<float> tape;
  Matrix<float> y, dq, dk, dv;
  attention.forward(in.q, in.k, in.v, sequences, tape, y);
  CHECK(tape.bytes() == 256 * 3 * sizeof(float));
  const auto state = tape.random_state();
  attention.backward(in.q, in.k, in.v, in.dy, sequences, tape, dq, dk, dv);
  const Matrix<float> dk_apart = dk;
  tape.set_random_state(state);
  attention.forward(in.q, in.k, in.v, sequences, tape, y);
  attention.backward(in.q, in.k, in.v, in.dy, sequences, tape, in.dy, dk, dv);
  CHECK(same_bits(in.dy, dq));
  CHECK(same_bits(dk, dk_apart));
}

TEST_CASE("attention's dropout keeps the mean and is drawn again from the same random state") {
  const AttentionConfig config{.heads = 2, .head_features = 1, .dropout = 0.25, .scaling = 0};
  const auto sequences = Sequences::packed(std::array{400});
  Inputs<double> in(400, config);
  in.v.setOnes();
  const Attention<double> attention(config, 3);
  Tape<double> tape, again;
  Matrix<double> y, z;
  attention.forward(in.q, in.k, in.v, sequences, tape, y);
  // y is the share kept over 1 - p: 2 * 400^2 draws.
  CHECK(std::abs(y.mean() - 1) < 5 * std::sqrt(0.25 / 0.75 / (2 * 400.0 * 400.0)));
  CHECK_FALSE(same_bits(y.col(0), y.col(1)));
  tape.clear();  // a state is one between passes
  const auto state = tape.random_state();
  attention.forward(in.q, in.k, in.v, sequences, tape, y);
  again.set_random_state(state);
  attention.forward(in.q, in.k, in.v, sequences, again, z);
  CHECK(same_bits(y, z));
}

TEST_CASE("attention gives the same bits for any number of threads and allocates nothing again") {
  for (const double dropout : {0.0, 0.1}) {
    const AttentionConfig config{
        .heads = 4, .head_features = 32, .kv_heads = 2, .dropout = dropout};
    const auto sequences = Sequences::padded(std::array{200, 3, 150, 0, 77}, 200);
    const Inputs<float> in(sequences.rows(), config);
    const Attention<float> attention(config, 3);
    std::array<Matrix<float>, 4> one;
    for (const int count : {1, 2, 3}) {
      const Threads threads(count);
      Tape<float> tape;
      std::array<Matrix<float>, 4> out;
      Matrix<float> inferred;
      const auto step = [&] {
        tape.set_random_state({});
        attention.forward(in.q, in.k, in.v, sequences, tape, out[0]);
        attention.backward(in.q, in.k, in.v, in.dy, sequences, tape, out[1], out[2], out[3]);
        attention.forward(in.q, in.k, in.v, sequences, inferred);
      };
      step();
      if (count == 1) one = out;
      for (std::size_t i = 0; i < out.size(); ++i) CHECK(same_bits(out[i], one[i]));
      const Threads countable(countable_threads(count));
      step();
      if (!kernels::blas_multiplies) CHECK(allocations_of(step).count == 0);
    }
  }
}

TEST_CASE("attention refuses what does not fit, before anything changes") {
  CHECK_THROWS_AS(Attention<float>({.heads = 0}), ConfigError);
  CHECK_THROWS_AS(Attention<float>({.heads = 4, .head_features = 0}), ConfigError);
  CHECK_THROWS_AS(Attention<float>({.heads = 4, .kv_heads = 3}), ConfigError);
  CHECK_THROWS_AS(Attention<float>({.heads = 4, .kv_heads = 0}), ConfigError);
  CHECK_THROWS_AS(Attention<float>({.dropout = 1}), ConfigError);
  CHECK_THROWS_AS(Attention<float>({.dropout = std::nan("")}), ConfigError);
  CHECK_THROWS_AS(Attention<float>({.scaling = std::nan("")}), ConfigError);

  const AttentionConfig config{.heads = 2, .head_features = 3};
  const auto sequences = Sequences::packed(std::array{4});
  const Inputs<float> in(4, config);
  const Attention<float> attention(config);
  Tape<float> tape;
  Matrix<float> y, dq, dk, dv;
  const Matrix<float> wide = random_matrix<float>(4, 7, 1), high = random_matrix<float>(5, 6, 1);
  CHECK_THROWS_WITH(attention.forward(wide, in.k, in.v, sequences, y),
                    "Attention::forward: q is (4, 7), expected (rows of the queries = 4, "
                    "heads * head_features = 6)");
  CHECK_THROWS_WITH(
      attention.forward(in.q, in.k, in.v, sequences, Sequences::packed(std::array{2, 2}), y),
      "Attention::forward: queries are 1 sequences, keys 2, expected as many");
  CHECK_THROWS_AS(attention.forward(in.q, high, in.v, sequences, tape, y), ShapeError);
  CHECK_THROWS_AS(attention.forward(in.q, in.k, wide, sequences, tape, y), ShapeError);
  CHECK((tape.empty() && y.size() == 0));
  CHECK_THROWS_AS(attention.backward(in.q, in.k, in.v, in.dy, sequences, tape, dq, dk, dv),
                  StateError);
  attention.forward(in.q, in.k, in.v, sequences, tape, y);
  CHECK_THROWS_AS(attention.backward(in.q, in.k, in.v, wide, sequences, tape, dq, dk, dv),
                  ShapeError);
  const auto longer = Sequences::packed(std::array{5});
  CHECK_THROWS_AS(attention.backward(high, high, high, high, longer, tape, dq, dk, dv), ShapeError);
  CHECK((dq.size() == 0 && dk.size() == 0 && dv.size() == 0));
  attention.backward(in.q, in.k, in.v, in.dy, sequences, tape, dq, dk, dv);
  CHECK(tape.empty());
}

TEST_CASE("attention writes to the caller's memory: to columns of one matrix, for instance") {
  const AttentionConfig config{.heads = 2, .head_features = 3, .dropout = 0.3};
  const auto sequences = Sequences::packed(std::array{4, 3});
  const Inputs<float> in(7, config);
  const Attention<float> attention(config, 3);
  Tape<float> tape;
  Matrix<float> inferred, y, dq, dk, dv;
  attention.forward(in.q, in.k, in.v, sequences, inferred);
  const auto state = tape.random_state();
  attention.forward(in.q, in.k, in.v, sequences, tape, y);
  attention.backward(in.q, in.k, in.v, in.dy, sequences, tape, dq, dk, dv);
  check_output<float>(
      inferred, [&](Output<float> out) { attention.forward(in.q, in.k, in.v, sequences, out); });
  // As a model has them that computes q, k and v by one product.
  Matrix<float> qkv(7, 18), gradient(7, 18);
  qkv << in.q, in.k, in.v;
  tape.set_random_state(state);
  const auto q = qkv.leftCols(6), k = qkv.middleCols(6, 6), v = qkv.rightCols(6);
  Matrix<float> again;
  attention.forward(q, k, v, sequences, tape, again);
  CHECK(same_bits(again, y));
  attention.backward(q, k, v, in.dy, sequences, tape, gradient.leftCols(6),
                     gradient.middleCols(6, 6), gradient.rightCols(6));
  CHECK(largest_difference(gradient.leftCols(6), dq) <= Tolerance<float>(7, 4).value);
  CHECK(largest_difference(gradient.middleCols(6, 6), dk) <= Tolerance<float>(7, 4).value);
  CHECK(largest_difference(gradient.rightCols(6), dv) <= Tolerance<float>(7, 4).value);
}

TEST_CASE("attention refuses outputs over what it reads, or over each other") {
  const AttentionConfig config{.heads = 2, .head_features = 3};
  const auto sequences = Sequences::packed(std::array{4});
  Inputs<float> in(4, config);
  const Inputs<float> before = in;
  const Attention<float> attention(config);
  Tape<float> tape;
  CHECK_THROWS_AS(attention.forward(in.q, in.k, in.v, sequences, in.k), ShapeError);
  CHECK_THROWS_AS(attention.forward(in.q, in.k, in.v, sequences, in.v), ShapeError);
  for (Matrix<float>* input : {&in.q, &in.k, &in.v})
    CHECK_THROWS_AS(attention.forward(in.q, in.k, in.v, sequences, tape, *input), ShapeError);
  CHECK(tape.empty());
  Matrix<float> y, one, two, three;
  attention.forward(in.q, in.k, in.v, sequences, tape, y);
  const auto refuses = [&](Output<float> dq, Output<float> dk, Output<float> dv) {
    CHECK_THROWS_AS(attention.backward(in.q, in.k, in.v, in.dy, sequences, tape, dq, dk, dv),
                    ShapeError);
  };
  for (Matrix<float>* input : {&in.q, &in.k, &in.v}) {
    refuses(*input, two, three);
    refuses(one, *input, three);
    refuses(one, two, *input);
  }
  refuses(one, in.dy, three);
  refuses(one, two, in.dy);
  refuses(one, two, two);
  refuses(one, two, one);
  CHECK((one.size() == 0 && two.size() == 0 && three.size() == 0));
  CHECK((same_bits(in.q, before.q) && same_bits(in.k, before.k) && same_bits(in.v, before.v) &&
         same_bits(in.dy, before.dy)));
  attention.backward(in.q, in.k, in.v, in.dy, sequences, tape, one, two, three);
}

TEST_CASE("attention's backward refuses what is not as it was in forward, naming the layer") {
  const AttentionConfig config{.heads = 2, .head_features = 3};
  auto sequences = Sequences::packed(std::array{4, 3});
  Inputs<float> in(7, config);
  Attention<float> attention(config);
  attention.set_name("layer.0.attention");
  CHECK(attention.name() == "layer.0.attention");
  Tape<float> tape;
  Matrix<float> y, dq, dk, dv;
  attention.forward(in.q, in.k, in.v, sequences, tape, y);
  const auto refuses = [&](const std::string& part) {
    check_throws<StateError>(
        [&] { attention.backward(in.q, in.k, in.v, in.dy, sequences, tape, dq, dk, dv); },
        "layer.0.attention (Attention::backward): the " + part);
  };
  for (const auto& [input, name] :
       {std::pair{&in.q, "q"}, std::pair{&in.k, "k"}, std::pair{&in.v, "v"}}) {
    *input *= 2;
    refuses(std::string("elements of ") + name);
    *input /= 2;
  }
  sequences.set_packed(std::array{3, 4});
  refuses("sequences lie otherwise than in the forward");
  CHECK(dq.size() == 0);
  sequences.set_packed(std::array{4, 3});
  attention.backward(in.q, in.k, in.v, in.dy, sequences, tape, dq, dk, dv);
  CHECK(tape.empty());
}

TEST_CASE("padding within a sequence gets no attention at all, whatever it holds") {
  const AttentionConfig config{.heads = 1, .head_features = 2};
  const auto holes = Sequences::masked(std::array{1, 0, 1, 1}, 4);
  Inputs<float> in(4, config);
  const Attention<float> attention(config);
  for (const float padding : {0.0F, 1e18F}) {
    in.k.row(1).setConstant(padding);
    in.v.row(1).setConstant(padding);
    in.q = -in.k;  // the scores of all tokens are below that of padding, or above
    Tape<float> tape;
    Matrix<float> y, dq, dk, dv, packed;
    attention.forward(in.q, in.k, in.v, holes, tape, y);
    attention.backward(in.q, in.k, in.v, in.dy, holes, tape, dq, dk, dv);
    CHECK(dk.row(1).isZero(0));
    CHECK(dv.row(1).isZero(0));
    CHECK(largest_difference(y, naive_attention(in, config, holes, holes)) <=
          Tolerance<float>(4, 4).value);
  }
}
