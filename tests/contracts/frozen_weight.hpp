#pragma once

#include <lora/frozen/frozen_weight.hpp>

#include "contracts/panel_weight.hpp"
#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

namespace lora::test {

/// Checks that a storage keeps the promises of the concept FrozenWeight, for many shapes.
/// `make(dense)` builds a storage that holds `dense`, exactly or (a quantised one) nearly; what it
/// then says of itself with `dense()` is what its products are held to.
template <class T, class Make>
void check_frozen_weight(const Make& make) {
  struct Shape {
    Index n, out, in;
  };
  const Shape shapes[] = {{1, 1, 1},    {2, 3, 5},      {1, 130, 67},   {4, 24, 16},  {7, 31, 97},
                          {0, 4, 3},    {64, 64, 64},   {65, 193, 33},  {129, 8, 70}, {3, 1, 300},
                          {33, 200, 1}, {16, 256, 320}, {130, 385, 290}};
  for (const auto& [n, out, in] : shapes) {
    CAPTURE(n, out, in);
    const auto weight = make(random_matrix<T>(out, in, 1));
    static_assert(FrozenWeight<std::decay_t<decltype(weight)>, T>);
    REQUIRE(weight.out_features() == out);
    REQUIRE(weight.in_features() == in);
    const Matrix<T> w = weight.dense();
    const Matrix<T> x = random_matrix<T>(n, in, 2);
    const Matrix<T> dy = random_matrix<T>(n, out, 3);
    const Matrix<T> y0 = random_matrix<T>(n, out, 4);
    const Matrix<T> dx0 = random_matrix<T>(n, in, 5);

    // Both products add to what is there.
    Matrix<T> y = y0, dx = dx0;
    weight.add_product(x, y);
    weight.add_transposed_product(dy, dx);
    const Matrix<double> xd = x.template cast<double>(), wd = w.template cast<double>(),
                         dyd = dy.template cast<double>();
    const Matrix<double> y_expected = y0.template cast<double>() + xd * wd.transpose();
    const Matrix<double> dx_expected = dx0.template cast<double>() + dyd * wd;
    CHECK(largest_difference(y, y_expected) <= Tolerance<T>(in).value);
    CHECK(largest_difference(dx, dx_expected) <= Tolerance<T>(out).value);

    if constexpr (RowReadableWeight<std::decay_t<decltype(weight)>, T>) {
      Matrix<T> row(1, in);
      weight.copy_row(out - 1, row.data());
      CHECK(same_bits(row, w.row(out - 1)));
    }

    // Blocks of larger matrices serve as x and y, and what lies around y stays. (One row more: a
    // matrix without rows has no memory to take a block of.)
    Matrix<T> tall_x = Matrix<T>::Constant(n + 1, in + 3, T(9));
    Matrix<T> tall_y = Matrix<T>::Constant(n + 1, out + 5, T(7));
    auto wide_x = tall_x.topRows(n);
    auto wide_y = tall_y.topRows(n);
    wide_x.middleCols(1, in) = x;
    wide_y.middleCols(2, out) = y0;
    weight.add_product(wide_x.middleCols(1, in), wide_y.middleCols(2, out));
    CHECK(largest_difference(wide_y.middleCols(2, out), y_expected) <= Tolerance<T>(in).value);
    CHECK((wide_y.leftCols(2).array() == T(7)).all());
    CHECK((wide_y.rightCols(3).array() == T(7)).all());

    // A second call allocates nothing.
    const Threads counted(countable_threads(2));
    weight.add_product(x, y);
    weight.add_transposed_product(dy, dx);
    const Allocations second = allocations_of([&] {
      weight.add_product(x, y);
      weight.add_transposed_product(dy, dx);
    });
    if (!kernels::blas_multiplies) CHECK(second.count == 0);
  }
}

/// Checks that both products of `make(dense)` give the same bits for 1, 2 and 3 threads, at sizes
/// that are worth sharing.
template <class T, class Make>
void check_frozen_weight_threads(const Make& make, Index in = 1027) {
  for (const Index n : {1, 5, 16, 64, 200}) {
    CAPTURE(n);
    const Index out = 1030;
    const auto weight = make(random_matrix<T>(out, in, 1));
    const Matrix<T> x = random_matrix<T>(n, in, 2), dy = random_matrix<T>(n, out, 3);
    Matrix<T> y_one, dx_one;
    for (const int count : {1, 2, 3}) {
      const Threads threads(count);
      Matrix<T> y = Matrix<T>::Zero(n, out), dx = Matrix<T>::Zero(n, in);
      weight.add_product(x, y);
      weight.add_transposed_product(dy, dx);
      if (count == 1) {
        y_one = y;
        dx_one = dx;
      }
      CHECK(same_bits(y, y_one));
      CHECK(same_bits(dx, dx_one));
    }
  }
}

/// Checks the promises of MergeableWeight for a writable storage.
template <class T, class Make>
void check_mergeable_weight(const Make& make) {
  const Index out = 37, in = 53, rank = 5;
  const Matrix<T> w = random_matrix<T>(out, in, 1);
  const Matrix<T> a = random_matrix<T>(rank, in, 2), b = random_matrix<T>(out, rank, 3);
  auto weight = make(w);
  static_assert(MergeableWeight<std::decay_t<decltype(weight)>, T>);
  REQUIRE(weight.writable());
  const Matrix<T> before = weight.dense();
  weight.add_low_rank(T(0.5), b, a);
  const Matrix<double> expected =
      before.template cast<double>() + 0.5 * b.template cast<double>() * a.template cast<double>();
  CHECK(largest_difference(weight.dense(), expected) <= Tolerance<T>(rank).value);
  weight.assign(before);
  CHECK(same_bits(weight.dense(), before));
}

/// Checks every promise that the storage of `make(dense)` makes, by the concepts that it models.
template <class T, class Make>
void check_storage(const Make& make) {
  using Weight = std::decay_t<decltype(make(Matrix<T>()))>;
  check_frozen_weight<T>(make);
  check_frozen_weight_threads<T>(make);
  if constexpr (PanelWeight<Weight, T>) check_panel_weight<T>(make);
  if constexpr (MergeableWeight<Weight, T>) check_mergeable_weight<T>(make);
}

}  // namespace lora::test
