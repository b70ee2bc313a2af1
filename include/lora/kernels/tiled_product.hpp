#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/bfloat16_parts.hpp"

/// Products x W with W in bfloat16 on matrix tiles (AmxTiles, EmulatedTiles). A tile of x is 16
/// rows of 32 numbers; a tile of W is 16 columns of 32 numbers, in rows of pairs: row k has the
/// numbers 2k and 2k + 1 of each column.
namespace lora::kernels {

/// The right side W (depth, columns) of a product on tiles: `pairs(depth, column, to)` writes the
/// tile that begins there, 16 rows of 32 numbers, zeros for what W does not have.
template <class W>
concept PairSource = requires(const W& w, Index at, std::uint16_t* to) {
  w.pairs(at, at, to);
};

/// The rows from which a product is made on tiles: a tile takes as long for one row as for 16, and
/// putting W in pairs costs about what other kernels take for eight.
inline constexpr Index tiled_rows = 9;

/// Tells whether a product with a W (depth, columns) fills tiles well enough.
[[nodiscard]] inline bool tiles_pay(Index depth, Index columns) {
  return depth >= 64 && columns >= 32;
}

namespace detail {

constexpr Index tile_side = 16, tile_depth = 32, tile_numbers = tile_side * tile_depth;
constexpr Index tile_row = 2 * tile_depth;  // bytes
// W's share of so many tiles of depth, 32 columns wide, stays in the first-level cache for all
// rows.
constexpr Index tile_depths = 16;
// The activations of a band of so many rows stay in the second-level cache, block by block.
constexpr Index band_rows = 512;

/// Activations as tiles in the order in which they are read, as rows that lie a power of two apart
/// would fall on the same places of the cache: [two tiles of rows][tile of depth][tile][part].
struct TiledRows {
  std::uint16_t* data;
  Index rows;
  Index depth;
  Index parts;  // 1: the nearest bfloat16; 2: BFloat16Parts

  [[nodiscard]] Index depth_tiles() const { return (depth + tile_depth - 1) / tile_depth; }
  [[nodiscard]] Index row_tiles() const { return (rows + tile_side - 1) / tile_side; }
  [[nodiscard]] Index pairs() const { return (row_tiles() + 1) / 2; }
  [[nodiscard]] Index tiles_of(Index pair) const {
    return std::min<Index>(2, row_tiles() - 2 * pair);
  }
  [[nodiscard]] std::uint16_t* at(Index pair, Index depth_tile) const {
    return data + (2 * pair * depth_tiles() + tiles_of(pair) * depth_tile) * parts * tile_numbers;
  }
};

// Fills both tiles of rows of a pair from x, whose rows are those of the band.
inline void pack_pair(const ConstMatrixRef<float>& x, const TiledRows& to, Index pair) {
  for (Index d = 0; d < to.depth_tiles(); ++d)
    for (Index t = 0; t < to.tiles_of(pair); ++t) {
      std::uint16_t* const high = to.at(pair, d) + t * to.parts * tile_numbers;
      std::uint16_t* const low = high + tile_numbers;
      const Index row = (2 * pair + t) * tile_side, k = d * tile_depth;
      const Index count = std::min(tile_depth, to.depth - k);
      for (Index n = 0; n < tile_side; ++n) {
        std::array<float, static_cast<std::size_t>(tile_depth)> numbers{};
        if (row + n < to.rows)
          std::copy_n(x.data() + (row + n) * x.outerStride() + k, count, numbers.data());
        for (Index i = 0; i < tile_depth; ++i)
          high[n * tile_depth + i] = BFloat16Parts::of(numbers[static_cast<std::size_t>(i)]).high;
        if (to.parts == 1) continue;
        for (Index i = 0; i < tile_depth; ++i)
          low[n * tile_depth + i] = BFloat16Parts::of(numbers[static_cast<std::size_t>(i)]).low;
      }
    }
}

// The 16 x 16 numbers of y from (row, column) on, of which some may lie outside.
struct TileOfSums {
  MatrixRef<float>& y;
  Index row;
  Index column;

  [[nodiscard]] float* data() const { return y.data() + row * y.outerStride() + column; }
  [[nodiscard]] Index rows() const { return std::clamp<Index>(y.rows() - row, 0, tile_side); }
  [[nodiscard]] Index columns() const { return std::clamp<Index>(y.cols() - column, 0, tile_side); }
  [[nodiscard]] bool whole() const { return rows() == tile_side && columns() == tile_side; }
  [[nodiscard]] Index stride() const { return y.outerStride() * Index{sizeof(float)}; }
};

using TileOfFloats = std::array<float, static_cast<std::size_t>(tile_side* tile_side)>;

template <int Tile, class Tiles>
void load_sums(Tiles& tiles, const TileOfSums& from) {
  if (from.whole()) return tiles.template load<Tile>(from.data(), from.stride());
  alignas(64) TileOfFloats copy{};
  for (Index n = 0; n < from.rows(); ++n)
    std::copy_n(from.data() + n * from.y.outerStride(), from.columns(),
                copy.data() + n * tile_side);
  tiles.template load<Tile>(copy.data(), tile_row);
}

template <int Tile, class Tiles>
void store_sums(const Tiles& tiles, const TileOfSums& to) {
  if (to.whole()) return tiles.template store<Tile>(to.data(), to.stride());
  alignas(64) TileOfFloats copy;
  tiles.template store<Tile>(copy.data(), tile_row);
  for (Index n = 0; n < to.rows(); ++n)
    std::copy_n(copy.data() + n * tile_side, to.columns(), to.data() + n * to.y.outerStride());
}

// Adds a pair of tiles of rows times 32 columns of W to y from (row, column) on, `depths` tiles
// deep: four tiles of sums, two of x and two of W, so that each tile read serves two products.
template <class Tiles>
void add_tiles(Tiles& tiles, const std::uint16_t* left, Index row_tiles, Index parts,
               const std::uint16_t* right, Index depths, MatrixRef<float>& y, Index row,
               Index column) {
  const bool two = row_tiles == 2;
  load_sums<0>(tiles, {y, row, column});
  load_sums<1>(tiles, {y, row, column + tile_side});
  if (two) {
    load_sums<2>(tiles, {y, row + tile_side, column});
    load_sums<3>(tiles, {y, row + tile_side, column + tile_side});
  }
  for (Index d = 0; d < depths; ++d) {
    tiles.template load<6>(right, tile_row);
    tiles.template load<7>(right + tile_numbers, tile_row);
    right += 2 * tile_numbers;
    for (Index part = 0; part < parts; ++part) {
      tiles.template load<4>(left + part * tile_numbers, tile_row);
      tiles.template multiply<0, 4, 6>();
      tiles.template multiply<1, 4, 7>();
      if (!two) continue;
      tiles.template load<5>(left + (parts + part) * tile_numbers, tile_row);
      tiles.template multiply<2, 5, 6>();
      tiles.template multiply<3, 5, 7>();
    }
    left += row_tiles * parts * tile_numbers;
  }
  store_sums<0>(tiles, {y, row, column});
  store_sums<1>(tiles, {y, row, column + tile_side});
  if (two) {
    store_sums<2>(tiles, {y, row + tile_side, column});
    store_sums<3>(tiles, {y, row + tile_side, column + tile_side});
  }
}

}  // namespace detail

/// Adds x W to y on tiles: x (N, depth), W (depth, columns) in bfloat16, y (N, columns). Each
/// number of x stands as `parts` bfloat16: the nearest (1), or also what that leaves (2), which
/// keeps it to 2^-17. Sums are of floats. Numbers below 1.2e-38 in magnitude count as zeros. The
/// same bits for any number of threads.
template <class Tiles, PairSource W>
void add_tiled_product(const ConstMatrixRef<float>& x, const W& w, Index parts,
                       MatrixRef<float> y) {
  using namespace detail;
  if (x.size() == 0 || y.size() == 0) return;
  constexpr Index wide = 2 * tile_side;
  const Index tasks = (y.cols() + wide - 1) / wide;
  Scratch scratch;
  TiledRows left{nullptr, std::min(band_rows, x.rows()), x.cols(), parts};
  left.data =
      scratch.take<std::uint16_t>(left.row_tiles() * left.depth_tiles() * parts * tile_numbers);
  for (Index first = 0; first < x.rows(); first += band_rows) {
    left.rows = std::min(band_rows, x.rows() - first);
    const ConstMatrixRef<float> band(x.data() + first * x.outerStride(), left.rows, x.cols(),
                                     x.outerStride());
    MatrixRef<float> sums(y.data() + first * y.outerStride(), left.rows, y.cols(), y.outerStride());
    const double numbers = static_cast<double>(x.cols()) * static_cast<double>(left.rows);
    parallel_for(left.pairs(), threads_for(left.pairs(), 4 * numbers),
                 [&](Index pair) { pack_pair(band, left, pair); });
    // A number of W is read and put in its place in about the time of 8 multiply-adds, and a tile
    // makes 16 of them in the time of one.
    const double work = static_cast<double>(x.cols()) * static_cast<double>(y.cols()) *
                        (8 + static_cast<double>(left.rows) / 16);
    parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
      const Index column = task * wide;
      Scratch own;
      auto* const right = own.take<std::uint16_t>(2 * tile_depths * tile_numbers);
      Tiles tiles;
      for (Index d = 0; d < left.depth_tiles(); d += tile_depths) {
        const Index depths = std::min(tile_depths, left.depth_tiles() - d);
        for (Index i = 0; i < depths; ++i)
          for (Index t = 0; t < 2; ++t)
            w.pairs((d + i) * tile_depth, column + t * tile_side,
                    right + (2 * i + t) * tile_numbers);
        for (Index pair = 0; pair < left.pairs(); ++pair)
          add_tiles(tiles, left.at(pair, d), left.tiles_of(pair), parts, right, depths, sums,
                    2 * pair * tile_side, column);
      }
    });
  }
}

}  // namespace lora::kernels
