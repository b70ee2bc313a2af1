#include <lora/kernels/packed_left.hpp>
#include <vector>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

template <class T>
void check_packed(const kernels::PackedLeft<T>& packed, const Matrix<T>& a) {
  REQUIRE(packed.rows == a.rows());
  REQUIRE(packed.depth == a.cols());
  for (Index row = 0; row < a.rows();) {
    const Index high = kernels::tile_rows<T>(a.rows() - row);
    for (Index k = 0; k < a.cols(); ++k) {
      const Index block = k / kernels::depth_block * kernels::depth_block;
      const T* const tile = packed.tile(row, block) + (k - block) * high;
      for (Index i = 0; i < high; ++i) REQUIRE(tile[i] == a(row + i, k));
    }
    row += high;
  }
}

}  // namespace

TEMPLATE_TEST_CASE("a packed left side gives its tiles row beside row", "", float, double) {
  using T = TestType;
  const std::pair<Index, Index> shapes[] = {{1, 1}, {7, 5}, {64, 384}, {65, 385}, {131, 800}};
  for (const auto& [rows, depth] : shapes) {
    CAPTURE(rows, depth);
    const Matrix<T> a = random_matrix<T>(rows, depth, 1);
    const Matrix<T> at = a.transpose();
    std::vector<T> memory(static_cast<std::size_t>(kernels::packed_left_size(rows, depth)));
    check_packed<T>(kernels::pack_left<T>(kernels::MatrixRows<T>(a), memory.data()), a);
    check_packed<T>(kernels::pack_left<T>(kernels::MatrixRows<T>::transposed(at), memory.data()),
                    a);
  }
}

TEST_CASE("some rows of a left side are packed as a left side of their own") {
  const Matrix<float> a = random_matrix<float>(100, 390, 1);
  std::vector<float> memory(21 * 390);
  check_packed<float>(
      kernels::pack_left<float>(kernels::MatrixRows<float>(a), 64, 21, memory.data()),
      a.middleRows(64, 21));
}

TEST_CASE("packing is the same for any number of threads") {
  const Matrix<float> a = random_matrix<float>(700, 800, 1);
  Matrix<float> one(700, 800);
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    Matrix<float> memory(700, 800);
    kernels::pack_left<float>(kernels::MatrixRows<float>(a), memory.data());
    if (count == 1) one = memory;
    CHECK(same_bits(memory, one));
  }
}
