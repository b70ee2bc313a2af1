#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <utility>

#include "lora/core/matrix.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/coded_rows.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/run_vector.hpp"
#include "lora/kernels/tile_shape.hpp"
#include "lora/kernels/transpose_packets.hpp"

/// Products of a few rows with a W in codes, which is decoded once for all of them: the first rows
/// are multiplied while it is, and a block stays in the cache for the others. Nothing is
/// transposed: along a row of W, y's sums lie in the lanes; dx takes tiles as they are decoded.
namespace lora::kernels {

/// The rows of x that are packed and multiplied at a time; fewer are filled up with zeros.
[[nodiscard]] constexpr Index dot_set(Index rows) {
  return rows <= 2 ? 2 : rows <= 4 ? 4 : TileShape<float>::rows;
}

/// Rows of x in sets: [set][vector of columns][row of the set][lane], rows and columns that do not
/// exist being zeros.
struct DotSets {
  const float* data;
  Index rows;   // that exist
  Index set;    // see dot_set
  Index depth;  // columns, whole runs

  /// Returns the scalars that they take.
  [[nodiscard]] static Index size(Index rows, Index columns) {
    return round_up(rows, dot_set(rows)) * runs_of(columns) * run_length;
  }

  /// Packs `x` into `out`.
  [[nodiscard]] static DotSets packed(const ConstMatrixRef<float>& x, float* out) {
    const DotSets sets{out, x.rows(), dot_set(x.rows()), runs_of(x.cols()) * run_length};
    for (Index first = 0; first < sets.rows; first += sets.set, out += sets.set * sets.depth)
      for (Index k = 0; k < sets.depth; k += run_width)
        for (Index n = 0; n < sets.set; ++n) {
          float* const to = out + k * sets.set + n * run_width;
          const Index count = first + n < sets.rows ? std::min(run_width, x.cols() - k) : 0;
          const float* const from = x.data() + (first + n) * x.outerStride() + k;
          for (Index i = 0; i < run_width; ++i) to[i] = i < count ? from[i] : 0.0F;
        }
    return sets;
  }

  /// Returns where the set of row `first` has column k, a whole vector's.
  [[nodiscard]] const float* at(Index first, Index k) const {
    return data + first * depth + k * set;
  }
};

/// Rows of dy in sets: [set][row of W][row of the set], rows that do not exist being zeros.
struct SumSets {
  const float* data;
  Index rows;   // that exist
  Index set;    // see dot_set
  Index depth;  // rows of W

  /// Returns the scalars that they take.
  [[nodiscard]] static Index size(Index rows, Index depth) {
    return round_up(rows, dot_set(rows)) * depth;
  }

  /// Packs `dy` into `out`.
  [[nodiscard]] static SumSets packed(const ConstMatrixRef<float>& dy, float* out) {
    const SumSets sets{out, dy.rows(), dot_set(dy.rows()), dy.cols()};
    for (Index first = 0; first < sets.rows; first += sets.set, out += sets.set * sets.depth)
      for (Index n = 0; n < sets.set; ++n) {
        const bool exists = first + n < sets.rows;
        const float* const row = dy.data() + (exists ? first + n : 0) * dy.outerStride();
        for (Index o = 0; o < sets.depth; ++o) out[o * sets.set + n] = exists ? row[o] : 0.0F;
      }
    return sets;
  }

  /// Returns where the set of row `first` has row o of W.
  [[nodiscard]] const float* at(Index first, Index o) const {
    return data + first * depth + o * set;
  }
};

namespace detail {

// How add_decoded_dots cuts W: the decoded block, a set of x and its sums stay in the first-level
// cache.
struct DotBlock {
  static constexpr Index outputs = 12, depth = 384;

  // The outputs of a tile that decodes: fewer sums than registers.
  [[nodiscard]] static constexpr Index coded(Index set) {
    return TileShape<float>::rows == 4 ? 8 / set : set == 2 ? 6 : 16 / set;
  }
};

// Else GCC reads a vector anew for each of its products, of which more can be made than read.
EIGEN_ALWAYS_INLINE void keep_in_register([[maybe_unused]] RunVector& vector) {
#if defined(__SSE2__)
  asm("" : "+v"(vector));
#endif
}

// Writes the sums of the lanes of run_width vectors to `to`.
[[gnu::noinline]] inline void sum_lanes(const float* from, float* to) {
  if constexpr (run_width == Simd<float>::width) {
    Packet<float> rows[run_width];
    unroll<run_width>([&](Index i) __attribute__((always_inline)) {
      rows[i] = Eigen::internal::ploadu<Packet<float>>(from + i * run_width);
    });
    transpose_packets<run_width>(rows);
    unroll<4>([&](Index level) __attribute__((always_inline)) {
      const Index half = run_width >> (level + 1);
      unroll<run_width / 2>([&](Index i) __attribute__((always_inline)) {
        if (i < half) rows[i] = Eigen::internal::padd(rows[i], rows[i + half]);
      });
    });
    Eigen::internal::pstoreu(to, rows[0]);
  } else {
    for (Index i = 0; i < run_width; ++i) to[i] = sum_of(load_run_vector(from + i * run_width));
  }
}

// Vectors of sums in memory, held in registers meanwhile: as many as Near lie side by side, and
// such groups a run apart.
template <Index Count, Index Near = Count>
class HeldSums {
 public:
  EIGEN_ALWAYS_INLINE explicit HeldSums(const float* from) {
    unroll<Count>([&](Index i) __attribute__((always_inline)) {
      held_[i] = load_run_vector(from + place(i));
    });
  }

  [[nodiscard]] EIGEN_ALWAYS_INLINE RunVector& operator[](Index i) { return held_[i]; }

  EIGEN_ALWAYS_INLINE void store(float* to) const {
    unroll<Count>([&](Index i) __attribute__((always_inline)) {
      store_run_vector(to + place(i), held_[i]);
    });
  }

 private:
  static constexpr Index place(Index i) { return i / Near * run_length + i % Near * run_width; }

  RunVector held_[Count];
};

// sums[(j * set + n) * run_width ...] += lane by lane, x's row n of a set times W's row j, for
// Outputs rows of W and `vectors` vectors of columns.
template <Index Set, Index Outputs>
[[gnu::noinline]] void add_dot_tile(const float* x, const float* w, Index stride, Index vectors,
                                    float* sums) {
  HeldSums<Outputs * Set> held(sums);
  for (Index k = 0; k < vectors; ++k) {
    RunVector right[Outputs];
    unroll<Outputs>([&](Index j) __attribute__((always_inline)) {
      right[j] = load_run_vector(w + j * stride + k * run_width);
      keep_in_register(right[j]);
    });
    unroll<Set>([&](Index n) __attribute__((always_inline)) {
      RunVector left = load_run_vector(x + (k * Set + n) * run_width);
      keep_in_register(left);
      unroll<Outputs>([&](Index j)
                          __attribute__((always_inline)) { held[j * Set + n] += left * right[j]; });
    });
  }
  held.store(sums);
}

// The same for rows of W from `row` on, at most `last`, and runs `begin` to `end`, which it decodes
// meanwhile, and leaves at w for the sets that follow. Asks memory for the block of rows after.
template <Index Set, CodedRows Rows>
[[gnu::noinline]] void add_coded_dot_tile(Rows rows, Index row, Index last, Index begin, Index end,
                                          const float* x, float* w, float* sums) {
  constexpr Index outputs = DotBlock::coded(Set), stride = DotBlock::depth;
  HeldSums<outputs * Set> held(sums);
  for (Index r = begin; r < end; ++r) {
    const auto runs = [&]<Index... j>(std::integer_sequence<Index, j...>)
        __attribute__((always_inline)) {
      return std::array{rows.run(std::min(row + j, last), r)...};
    }
    (std::make_integer_sequence<Index, outputs>());
    if constexpr (PlacedRows<Rows>)
      for (Index j = 0; j < outputs; ++j)
        __builtin_prefetch(rows.address(std::min(row + j + DotBlock::outputs, rows.rows() - 1), r),
                           0, 2);
    unroll<run_vectors>([&](Index v) __attribute__((always_inline)) {
      RunVector right[outputs];
      unroll<outputs>([&](Index j) __attribute__((always_inline)) {
        right[j] = runs[static_cast<std::size_t>(j)].vector(v);
        keep_in_register(right[j]);
        store_run_vector(w + j * stride + v * run_width, right[j]);
      });
      unroll<Set>([&](Index n) __attribute__((always_inline)) {
        RunVector left = load_run_vector(x + (v * Set + n) * run_width);
        keep_in_register(left);
        unroll<outputs>([&](Index j) __attribute__((always_inline)) {
          held[j * Set + n] += left * right[j];
        });
      });
    });
    x += run_length * Set;
    w += run_length;
  }
  held.store(sums);
}

// Adds to sums a block of outputs from `first` on, at most `last`, and runs `begin` to `end`.
template <Index Set, CodedRows Rows>
void add_dot_block(Rows rows, const DotSets& x, Index first, Index last, Index begin, Index end,
                   float* block, float* sums) {
  constexpr Index stride = DotBlock::depth, coded = DotBlock::coded(Set);
  static_assert(DotBlock::outputs % coded == 0);
  const Index k = begin * run_length;
  for (Index j = 0; j <= last - first; j += coded)
    add_coded_dot_tile<Set>(rows, first + j, last, begin, end, x.at(0, k), block + j * stride,
                            sums + j * Set * run_width);
  if constexpr (Set == TileShape<float>::rows) {  // of fewer there is one set
    constexpr Index step = 3;
    static_assert(DotBlock::outputs % step == 0);
    for (Index row = Set; row < x.rows; row += Set) {
      sums += DotBlock::outputs * Set * run_width;
      for (Index j = 0; j <= last - first; j += step)
        add_dot_tile<Set, step>(x.at(row, k), block + j * stride, stride,
                                (end - begin) * run_vectors, sums + j * Set * run_width);
    }
  }
}

}  // namespace detail

/// The outputs that add_decoded_dots computes at a time.
inline constexpr Index decoded_outputs = detail::DotBlock::outputs;

/// Adds to y(i, o) the sum over k of x(i, k) W(o, k) for outputs `first` to `last`, at most
/// decoded_outputs.
template <CodedRows Rows>
void add_decoded_dots(Rows rows, const DotSets& x, Index first, Index last, MatrixRef<float>& y) {
  constexpr Index depth = detail::DotBlock::depth / run_length;
  const Index sets = round_up(x.rows, x.set);
  Scratch scratch;
  auto* const block = scratch.take<float>(decoded_outputs * detail::DotBlock::depth);
  const Index sum_count = round_up(decoded_outputs * sets, run_width) * run_width;
  auto* sums = scratch.take<float>(sum_count);
  std::fill_n(sums, sum_count, 0.0F);
  const Index runs = x.depth / run_length;
  // Tiles of the last outputs may read rows that no tile decodes.
  if (last - first < decoded_outputs)
    std::fill_n(block, decoded_outputs * detail::DotBlock::depth, 0.0F);
  for (Index r = 0; r < runs; r += depth) {
    const Index end = std::min(r + depth, runs);
    if (x.set == 2)
      detail::add_dot_block<2>(rows, x, first, last - 1, r, end, block, sums);
    else if (x.set == 4)
      detail::add_dot_block<4>(rows, x, first, last - 1, r, end, block, sums);
    else if constexpr (TileShape<float>::rows > 4)
      detail::add_dot_block<TileShape<float>::rows>(rows, x, first, last - 1, r, end, block, sums);
  }
  const Index count = decoded_outputs * x.set;
  std::array<float, static_cast<std::size_t>(decoded_outputs * TileShape<float>::rows)> whole;
  for (Index row = 0; row < x.rows; row += x.set, sums += count * run_width) {
    for (Index i = 0; i < count; i += run_width)
      detail::sum_lanes(sums + i * run_width, whole.data() + i);
    for (Index n = 0; n < std::min(x.set, x.rows - row); ++n)
      for (Index o = first; o < last; ++o)
        y(row + n, o) += whole[static_cast<std::size_t>((o - first) * x.set + n)];
  }
}

namespace detail {

// The rows of W that add_decoded_sums takes at a time: what it decodes of them stays in the
// first-level cache.
inline constexpr Index sum_depth = 64;

// The vectors of a run that a tile of sums takes.
inline constexpr Index sum_vectors = 2;

// sums[n * run_length ...] += dy's row n of a set times `deep` rows of W at w, run_length wide
// each, for sum_vectors vectors of them.
template <Index Set>
[[gnu::noinline]] void add_sum_tile(const float* dy, const float* w, Index deep, float* sums) {
  constexpr Index vectors = sum_vectors;
  HeldSums<Set * vectors, vectors> held(sums);
  for (Index o = 0; o < deep; ++o) {
    RunVector right[vectors];
    unroll<vectors>([&](Index v) __attribute__((always_inline)) {
      right[v] = load_run_vector(w + o * run_length + v * run_width);
      keep_in_register(right[v]);
    });
    unroll<Set>([&](Index n) __attribute__((always_inline)) {
      const RunVector left = run_vector(dy[o * Set + n]);
      unroll<vectors>([&](Index v) __attribute__((always_inline)) {
        held[n * vectors + v] += left * right[v];
      });
    });
  }
  held.store(sums);
}

// The same for a run of rows `first` to `last` of W, which it decodes meanwhile, and leaves at w
// for the sets that follow. Asks memory for run `next_run` of as many rows from `next` on.
template <Index Set, CodedRows Rows>
[[gnu::noinline]] void add_coded_sum_tile(Rows rows, Index first, Index last, Index run, Index next,
                                          Index next_run, const float* dy, float* w, float* sums) {
  constexpr Index vectors = sum_vectors;
  unroll<run_vectors / vectors>([&](Index part) __attribute__((always_inline)) {
    float* const to = sums + part * vectors * run_width;
    HeldSums<Set * vectors, vectors> held(to);
    for (Index o = first; o < last; ++o) {
      const auto codes = rows.run(o, run);
      if constexpr (PlacedRows<Rows>)
        if (part == 0)
          __builtin_prefetch(rows.address(std::min(next + (o - first), rows.rows() - 1), next_run),
                             0, 2);
      RunVector right[vectors];
      unroll<vectors>([&](Index v) __attribute__((always_inline)) {
        right[v] = codes.vector(part * vectors + v);
        keep_in_register(right[v]);
        store_run_vector(w + (o - first) * run_length + (part * vectors + v) * run_width, right[v]);
      });
      unroll<Set>([&](Index n) __attribute__((always_inline)) {
        const RunVector left = run_vector(dy[(o - first) * Set + n]);
        unroll<vectors>([&](Index v) __attribute__((always_inline)) {
          held[n * vectors + v] += left * right[v];
        });
      });
    }
    held.store(to);
  });
}

// Adds rows `first` to `last` of W to sums of runs `begin` to `end`, [run][row of dy][column].
template <Index Set, CodedRows Rows>
void add_sum_block(Rows rows, const SumSets& dy, Index first, Index last, Index begin, Index end,
                   float* block, float* sums) {
  constexpr Index ahead = 4;  // runs
  for (Index run = begin; run < end; ++run) {
    const bool here = run + ahead < end;
    const Index next_run = std::min(here ? run + ahead : begin + (run + ahead - end), end - 1);
    add_coded_sum_tile<Set>(rows, first, last, run, here ? first : last, next_run, dy.at(0, first),
                            block, sums);
    sums += Set * run_length;
    if constexpr (Set == TileShape<float>::rows)  // of fewer there is one set
      for (Index row = Set; row < dy.rows; row += Set, sums += Set * run_length)
        for (Index v = 0; v < run_vectors; v += sum_vectors)
          add_sum_tile<Set>(dy.at(row, first), block + v * run_width, last - first,
                            sums + v * run_width);
  }
}

}  // namespace detail

/// The most runs that it should go through before the next rows of W: rows are read in their order,
/// else each piece of one is a page to look up.
inline constexpr Index decoded_runs = 128;

/// Adds to dx(i, k) the sum over o of dy(i, o) W(o, k) for the columns k of runs `begin` to `end`.
template <CodedRows Rows>
void add_decoded_sums(Rows rows, const SumSets& dy, Index begin, Index end, MatrixRef<float>& dx) {
  const Index first = begin * run_length, last = std::min(end * run_length, dx.cols());
  const Index padded = round_up(dy.rows, dy.set);
  Scratch scratch;
  auto* const block = scratch.take<float>(detail::sum_depth * run_length);
  // The sums have a place of their own: rows of dx may be as far apart as makes them share sets of
  // the cache.
  auto* const sums = scratch.take<float>((end - begin) * padded * run_length);
  std::fill_n(sums, (end - begin) * padded * run_length, 0.0F);
  for (Index o = 0; o < dy.depth; o += detail::sum_depth) {
    const Index stop = std::min(o + detail::sum_depth, dy.depth);
    if (dy.set == 2)
      detail::add_sum_block<2>(rows, dy, o, stop, begin, end, block, sums);
    else if (dy.set == 4)
      detail::add_sum_block<4>(rows, dy, o, stop, begin, end, block, sums);
    else if constexpr (TileShape<float>::rows > 4)
      detail::add_sum_block<TileShape<float>::rows>(rows, dy, o, stop, begin, end, block, sums);
  }
  for (Index i = 0; i < dy.rows; ++i)
    for (Index k = first; k < last; ++k)
      dx(i, k) +=
          sums[((k - first) / run_length * padded + i) * run_length + (k - first) % run_length];
}

}  // namespace lora::kernels
