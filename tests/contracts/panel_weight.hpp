#pragma once

#include <lora/frozen/frozen_passes.hpp>
#include <lora/frozen/frozen_weight.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

namespace lora::test {

/// Checks that every panel of `source` holds what `right` (depth, columns) does, for bits where the
/// source scales nothing, that it fills up with finite numbers, and that it allocates nothing.
template <class T, class Source>
void check_panels(const Source& source, const Matrix<T>& right) {
  constexpr Index width = kernels::TileShape<T>::columns;
  std::vector<T> buffer(static_cast<std::size_t>(kernels::depth_block * width));
  for (Index k = 0; k < right.rows(); k += kernels::depth_block)
    for (Index column = 0; column < right.cols(); column += width)
      for (const Index readings : {1, 2, 3, 100}) {
        const Index depth = std::min(kernels::depth_block, right.rows() - k);
        const Index columns = std::min(width, right.cols() - column);
        const kernels::PanelRequest request{column, columns, k, depth, readings};
        CAPTURE(k, column, readings);
        kernels::Panel<T> panel{nullptr, 0};
        const Allocations made =
            allocations_of([&] { panel = source.panel(request, buffer.data()); });
        CHECK(made.count == 0);
        const Index wide = kernels::round_up(columns, Simd<T>::width);
        REQUIRE((depth == 1 || panel.stride >= wide));
        bool same = true, finite = true;
        for (Index i = 0; i < depth; ++i)
          for (Index j = 0; j < wide; ++j) {
            const T value = panel.data[i * panel.stride + j];
            finite = finite && std::isfinite(static_cast<double>(value));
            if (j >= columns) continue;
            const T expected = right(k + i, column + j);
            if constexpr (kernels::ScaledPanelSource<Source, T>)
              same = same && std::abs(value * source.column_scale()[column + j] - expected) <=
                                 std::numeric_limits<T>::epsilon() * std::abs(expected);
            else
              same = same && value == expected;
          }
        CHECK(same);
        CHECK(finite);
      }
}

/// Checks that a storage keeps the promises of the concept PanelWeight: its panels are its dense
/// copy, in both directions, and the passes of a layer made from them are its products, the bias
/// and the low-rank part together. `make(dense)` as for check_frozen_weight.
template <class T, class Make>
void check_panel_weight(const Make& make) {
  struct Shape {
    Index out, in;
  };
  // One, primes, and both sides of a panel and of a depth block.
  const Shape shapes[] = {{1, 1}, {3, 5}, {47, 384}, {48, 385}, {97, 31}, {401, 129}, {800, 50}};
  const Index rank = 3;
  for (const auto& [out, in] : shapes) {
    CAPTURE(out, in);
    const auto weight = make(random_matrix<T>(out, in, 1));
    static_assert(PanelWeight<std::decay_t<decltype(weight)>, T>);
    const Matrix<T> w = weight.dense();
    check_panels<T>(weight.panels(), Matrix<T>(w.transpose()));
    check_panels<T>(weight.transposed_panels(), w);
    for (const Index n : {0, 1, 2, 17, 130}) {
      CAPTURE(n);
      const Matrix<T> x = random_matrix<T>(n, in, 2), dy = random_matrix<T>(n, out, 3);
      const Matrix<T> bias = random_matrix<T>(1, out, 4), dx0 = random_matrix<T>(n, in, 5);
      const Matrix<T> u = random_matrix<T>(n, rank, 6), a = random_matrix<T>(rank, in, 7),
                      b = random_matrix<T>(out, rank, 8);
      const kernels::LowRankPart<T> of_y{u, kernels::columns_of(b.data(), rank, false), T(0.5)};
      const kernels::LowRankPart<T> of_dx{u, kernels::columns_of(a.data(), in, true), T(0.5)};
      const Matrix<double> ud = u.template cast<double>() / 2, wd = w.template cast<double>();
      const Matrix<double> y_expected = bias.template cast<double>().replicate(n, 1) +
                                        x.template cast<double>() * wd.transpose() +
                                        ud * b.template cast<double>().transpose();
      const Matrix<double> dx_expected =
          dy.template cast<double>() * wd + ud * a.template cast<double>();
      Matrix<T> y(n, out), dx = dx0;
      const auto run = [&] {
        frozen_passes::forward<T>(weight, x, bias.data(), of_y, y);
        frozen_passes::backward<T>(weight, dy, of_dx, dx);
      };
      run();
      CHECK(largest_difference(y, y_expected) <= Tolerance<T>(in + rank).value);
      CHECK(largest_difference(dx, dx_expected) <= Tolerance<T>(out + rank).value);
      const Threads counted(countable_threads(2));
      run();
      const Allocations second = allocations_of(run);
      if (!kernels::blas_multiplies) CHECK(second.count == 0);
      // The gradient adds to what is there if it is told to.
      dx = dx0;
      frozen_passes::backward<T>(weight, dy, of_dx, dx, true);
      CHECK(largest_difference(dx, dx0.template cast<double>() + dx_expected) <=
            Tolerance<T>(out + rank).value);
    }
  }
}

}  // namespace lora::test
