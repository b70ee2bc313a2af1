#pragma once

#include <algorithm>
#include <array>

#include "lora/core/matrix.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/coded_rows.hpp"
#include "lora/kernels/packed_left.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/run_vector.hpp"
#include "lora/kernels/tile.hpp"
#include "lora/kernels/tile_shape.hpp"

/// Products of a few rows with a W in codes, which is decoded once for all of them, a block at a
/// time, to where it stays in the cache. Nothing is transposed: along a row of W, y's sums lie in
/// the lanes; dx takes tiles as they are decoded.
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

namespace detail {

// How add_decoded_dots cuts W: the decoded block, rows of x and sums stay in the first-level cache.
struct DotBlock {
  static constexpr Index outputs = 6, depth = 384;
};

// Else GCC reads a vector anew for each of its products, of which more can be made than read.
EIGEN_ALWAYS_INLINE void keep_in_register([[maybe_unused]] RunVector& vector) {
#if defined(__SSE2__)
  asm("" : "+v"(vector));
#endif
}

// sums[(j * set + n) * run_width ...] += lane by lane, x's row n of a set times W's row j, for
// Outputs rows of W and `vectors` vectors of columns.
template <Index Set, Index Outputs>
[[gnu::noinline]] void add_dot_tile(const float* x, const float* w, Index stride, Index vectors,
                                    float* sums) {
  RunVector held[Outputs * Set];
  unroll<Outputs * Set>([&](Index i) __attribute__((always_inline)) {
    held[i] = load_run_vector(sums + i * run_width);
  });
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
  unroll<Outputs * Set>([&](Index i) __attribute__((always_inline)) {
    store_run_vector(sums + i * run_width, held[i]);
  });
}

template <Index Set>
void add_dot_tiles(const float* x, const float* w, Index stride, Index vectors, Index outputs,
                   float* sums) {
  constexpr Index most = TileShape<float>::rows * TileShape<float>::vectors;
  constexpr Index step = std::min<Index>(6, most / Set);
  static_assert(DotBlock::outputs % step == 0);
  for (Index j = 0; j < outputs; j += step)
    add_dot_tile<Set, step>(x, w + j * stride, stride, vectors, sums + j * Set * run_width);
}

// Decodes runs `begin` to `end` of W's rows [first, last) to `out`, `stride` apart, and asks memory
// for the `ahead`-th row after each.
template <CodedRows Rows>
void decode_block(Rows rows, Index first, Index last, Index begin, Index end, Index ahead,
                  float* out, Index stride) {
  for (Index o = first; o < last; ++o, out += stride) {
    ask_for_runs(rows, std::min(o + ahead, rows.rows() - 1), begin, end);
    decode_runs(rows, o, begin, end, out);
  }
}

}  // namespace detail

/// The outputs that add_decoded_dots computes at a time.
inline constexpr Index decoded_outputs = detail::DotBlock::outputs;

/// Adds to y(i, o) the sum over k of x(i, k) W(o, k) for outputs `first` to `last`, at most
/// decoded_outputs.
template <CodedRows Rows>
void add_decoded_dots(Rows rows, const DotSets& x, Index first, Index last, MatrixRef<float>& y) {
  constexpr Index depth = detail::DotBlock::depth;
  const Index sets = round_up(x.rows, x.set), sums_of_set = decoded_outputs * x.set * run_width;
  Scratch scratch;
  auto* const block = scratch.take<float>(decoded_outputs * depth);
  auto* const sums = scratch.take<float>(decoded_outputs * sets * run_width);
  std::fill_n(sums, decoded_outputs * sets * run_width, 0.0F);
  if (last - first < decoded_outputs) std::fill_n(block, decoded_outputs * depth, 0.0F);
  for (Index k = 0; k < x.depth; k += depth) {
    const Index deep = std::min(depth, x.depth - k), vectors = deep / run_width;
    detail::decode_block(rows, first, last, k / run_length, (k + deep) / run_length,
                         decoded_outputs, block, depth);
    for (Index row = 0; row < sets; row += x.set) {
      const auto add = [&](auto tiles) {
        tiles(x.at(row, k), block, depth, vectors, last - first, sums + row / x.set * sums_of_set);
      };
      if (x.set == 2)
        add(detail::add_dot_tiles<2>);
      else if (x.set == 4)
        add(detail::add_dot_tiles<4>);
      else if constexpr (TileShape<float>::rows > 4)
        add(detail::add_dot_tiles<TileShape<float>::rows>);
    }
  }
  for (Index i = 0; i < x.rows; ++i)
    for (Index o = first; o < last; ++o)
      y(i, o) += sum_of(load_run_vector(sums + i / x.set * sums_of_set +
                                        ((o - first) * x.set + i % x.set) * run_width));
}

/// The runs that add_decoded_sums decodes at a time.
inline constexpr Index decoded_part = 3;

/// The most runs that it goes through before the next rows of W: rows are read in their order, else
/// each piece of one is a page to look up.
inline constexpr Index decoded_runs = 42 * decoded_part;

/// Adds to dx(i, k) the sum over o of dy(i, o) W(o, k) for the columns k of runs `begin` to `end`,
/// at most decoded_runs.
template <CodedRows Rows>
void add_decoded_sums(Rows rows, const PackedLeft<float>& dy, Index begin, Index end,
                      MatrixRef<float>& dx) {
  constexpr Index part = decoded_part, wide = part * run_length, depth = 48;
  static_assert(depth_block % depth == 0);
  const Index first = begin * run_length, last = std::min(end * run_length, dx.cols());
  const Index parts = (end - begin + part - 1) / part;
  Scratch scratch;
  auto* const block = scratch.take<float>(depth * wide);
  // The sums have a place of their own: rows of dx may be as far apart as makes them share sets of
  // the cache.
  auto* const sums = scratch.take<float>(parts * dy.rows * wide);
  std::fill_n(sums, parts * dy.rows * wide, 0.0F);
  std::array<float, static_cast<std::size_t>(TileShape<float>::columns)> ones;
  ones.fill(1.0F);
  for (Index o = 0; o < dy.depth; o += depth) {
    const Index deep = std::min(depth, dy.depth - o), from = o / depth_block * depth_block;
    for (Index p = 0; p < parts; ++p) {
      const Index run = begin + p * part, stop = std::min(run + part, end);
      detail::decode_block(rows, o, o + deep, run, stop, depth, block, wide);
      for (Index row = 0; row < dy.rows;) {
        const Index high = tile_rows<float>(dy.rows - row);
        const float* const left = dy.tile(row, from) + (o - from) * high;
        float* const at = sums + (p * dy.rows + row) * wide;
        for (Index k = 0; k < (stop - run) * run_length; k += TileShape<float>::columns)
          tile_of<float>(
              high, {left, block + k, wide, deep},
              {at + k, wide, std::min(TileShape<float>::columns, (stop - run) * run_length - k),
               ones.data(), at + k, wide});
        row += high;
      }
    }
  }
  for (Index i = 0; i < dy.rows; ++i)
    for (Index k = first; k < last; ++k)
      dx(i, k) += sums[((k - first) / wide * dy.rows + i) * wide + (k - first) % wide];
}

}  // namespace lora::kernels
