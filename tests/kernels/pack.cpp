#include <lora/kernels/pack.hpp>
#include <lora/kernels/packed_left.hpp>
#include <lora/kernels/panels.hpp>
#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace lora;
using namespace lora::test;

namespace {

template <class T, Index Width>
void check_pack() {
  for (const Index depth : {Index{0}, Index{1}, Index{3}, Index{16}, Index{17}, Index{50}})
    for (Index filled = 1; filled <= Width; ++filled) {
      CAPTURE(Width, depth, filled);
      // Strips as rows of one matrix and as columns of another.
      const Matrix<T> rows = random_matrix<T>(filled, depth, 1);
      const Matrix<T> columns = rows.transpose();
      for (const auto& strips : {kernels::Strips<T>{rows.data(), depth, 1},
                                 kernels::Strips<T>{columns.data(), 1, filled}}) {
        std::vector<T> out(static_cast<std::size_t>(depth * Width) + 1, T(9));
        kernels::pack_strips<T, Width>(strips, filled, depth, out.data());
        bool same = true;
        for (Index k = 0; k < depth; ++k)
          for (Index j = 0; j < Width; ++j)
            same = same &&
                   out[static_cast<std::size_t>(k * Width + j)] == (j < filled ? rows(j, k) : T(0));
        CHECK(same);
        CHECK(out.back() == T(9));
      }
    }
}

}  // namespace

TEMPLATE_TEST_CASE("packing puts strips side by side and fills up with zeros", "", float, double,
                   long double) {
  check_pack<TestType, 1>();
  check_pack<TestType, 2>();
  check_pack<TestType, 4>();
  check_pack<TestType, 8>();
  check_pack<TestType, 16>();
  check_pack<TestType, 48>();
}

TEMPLATE_TEST_CASE("a packed left side gives its tiles row beside row", "", float, double) {
  using T = TestType;
  for (const auto& [rows, depth] :
       {std::pair<Index, Index>{1, 1}, {7, 5}, {64, 384}, {65, 385}, {131, 800}}) {
    CAPTURE(rows, depth);
    const Matrix<T> a = random_matrix<T>(rows, depth, 1);
    const Matrix<T> at = a.transpose();
    for (const auto& strips :
         {kernels::Strips<T>{a.data(), depth, 1}, kernels::Strips<T>{at.data(), 1, rows}}) {
      std::vector<T> memory(static_cast<std::size_t>(kernels::packed_left_size(rows, depth)));
      const auto packed = kernels::pack_left<T>(strips, rows, depth, memory.data());
      bool same = true;
      for (Index row = 0; row < rows;) {
        const Index high = kernels::tile_rows<T>(rows - row);
        for (Index k = 0; k < depth; ++k) {
          const Index block = k / kernels::depth_block * kernels::depth_block;
          const T* const tile = packed.tile(row, block) + (k - block) * high;
          for (Index i = 0; i < high; ++i) same = same && tile[i] == a(row + i, k);
        }
        row += high;
      }
      CHECK(same);
    }
  }
}

TEMPLATE_TEST_CASE("panels of a matrix are the same in both orders, copied or in place", "", float,
                   double) {
  using T = TestType;
  constexpr Index width = kernels::TileShape<T>::columns;
  const Index depth = 29, columns = 2 * width + 5;
  const Matrix<T> b = random_matrix<T>(depth, columns, 1);
  const Matrix<T> bt = b.transpose();
  std::vector<T> buffer(static_cast<std::size_t>(depth * width));
  for (const bool row_major : {true, false})
    for (const Index tiles : {Index{1}, Index{100}})
      for (Index column = 0; column < columns; column += width) {
        CAPTURE(row_major, tiles, column);
        const kernels::MatrixPanels<T> source{row_major
                                                  ? kernels::columns_of(b.data(), columns, true)
                                                  : kernels::columns_of(bt.data(), depth, false)};
        const Index count = std::min(width, columns - column);
        const auto panel = source.panel(column, count, 3, depth - 3, tiles, buffer.data());
        bool same = true;
        for (Index k = 3; k < depth; ++k)
          for (Index j = 0; j < count; ++j)
            same = same && panel.data[(k - 3) * panel.stride + j] == b(k, column + j);
        CHECK(same);
      }
}
