#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"

/// Sums over all pixels of a batch, for each channel: in bands of a fixed number of rows, whose
/// sums are added in their order in double, so that they are the same for any number of threads.
namespace lora {

namespace detail {

inline constexpr Index rows_in_a_sum = 256;

// Calls add(row, sums) for every row, sums an array of `terms` rows (C), and writes the totals to
// `total` (terms, C).
template <class T, class Add>
void sum_over_rows(Index rows, Index channels, Index terms, const Add& add,
                   MatrixRef<double> total) {
  const Index bands = (rows + rows_in_a_sum - 1) / rows_in_a_sum;
  Scratch scratch;
  MatrixRef<T> parts = scratch.matrix<T>(bands, terms * channels);
  const double work = 4 * static_cast<double>(rows) * static_cast<double>(channels * terms);
  parallel_for(bands, threads_for(bands, work), [&](Index band) {
    T* const sums = parts.data() + band * parts.outerStride();
    std::fill_n(sums, terms * channels, T(0));
    const Index last = std::min(rows, (band + 1) * rows_in_a_sum);
    for (Index row = band * rows_in_a_sum; row < last; ++row) add(row, sums);
  });
  total.setZero();
  for (Index band = 0; band < bands; ++band)
    for (Index t = 0; t < terms; ++t)
      for (Index c = 0; c < channels; ++c) total(t, c) += double(parts(band, t * channels + c));
}

}  // namespace detail

/// Computes mean (1, C) and variance (1, C), divided by N, of the columns of x (N, C).
template <class T>
void channel_moments(ConstMatrixRef<T> x, MatrixRef<T> mean, MatrixRef<T> variance) {
  const Index channels = x.cols();
  const auto n = static_cast<double>(x.rows());
  Scratch scratch;
  MatrixRef<double> total = scratch.matrix<double>(1, channels);
  detail::sum_over_rows<T>(
      x.rows(), channels, 1,
      [&](Index row, T* sums) {
        const T* const from = x.data() + row * x.outerStride();
        for (Index c = 0; c < channels; ++c) sums[c] += from[c];
      },
      total);
  mean = (total / n).template cast<T>();
  // Around the mean: the difference of two large numbers would lose what it is about.
  detail::sum_over_rows<T>(
      x.rows(), channels, 1,
      [&](Index row, T* sums) {
        const T* const from = x.data() + row * x.outerStride();
        for (Index c = 0; c < channels; ++c) {
          const T apart = from[c] - mean(0, c);
          sums[c] += apart * apart;
        }
      },
      total);
  variance = (total / n).template cast<T>();
}

/// Computes for each column the sum of dy, and that of dy (x - mean) inverse: what the gradients of
/// a batch norm are made of. x and dy are (N, C), the others (1, C).
template <class T>
void channel_gradients(ConstMatrixRef<T> x, ConstMatrixRef<T> dy, ConstMatrixRef<T> mean,
                       ConstMatrixRef<T> inverse, MatrixRef<T> sum, MatrixRef<T> product) {
  const Index channels = x.cols();
  Scratch scratch;
  MatrixRef<double> total = scratch.matrix<double>(2, channels);
  detail::sum_over_rows<T>(
      x.rows(), channels, 2,
      [&](Index row, T* sums) {
        const T* const from = x.data() + row * x.outerStride();
        const T* const back = dy.data() + row * dy.outerStride();
        for (Index c = 0; c < channels; ++c) {
          sums[c] += back[c];
          sums[channels + c] += back[c] * (from[c] - mean(0, c));
        }
      },
      total);
  sum = total.row(0).template cast<T>();
  product = total.row(1).template cast<T>().cwiseProduct(inverse.row(0));
}

}  // namespace lora
