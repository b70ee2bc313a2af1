#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/pack.hpp"
#include "lora/kernels/tile_shape.hpp"

/// Products of one row, as for one token, which are bound by reading the matrix once. They stand
/// here rather than in Eigen because its own need five times as long to compile (0.65 against 0.13
/// s, GCC 12 -O3).
namespace lora::kernels {

/// Streams that are read side by side: one from memory is too few to keep it busy, and as many sums
/// hide how long an addition takes.
inline constexpr Index one_row_streams = 8;

/// Adds alpha * sum over k < depth of a[k] b[j * stride + k] to c[j] for j < count: the columns of
/// the right side lie element by element.
template <class T>
void add_row_dots(const T* a, Index depth, const T* b, Index stride, Index count, T alpha, T* c) {
  namespace ei = Eigen::internal;
  constexpr Index width = Simd<T>::width, streams = one_row_streams;
  const Index whole = depth / width * width;
  for (Index j = 0; j < count; j += streams) {
    // Columns that do not exist repeat the last one, and their sums are dropped.
    const T* column[streams];
    for (Index s = 0; s < streams; ++s) column[s] = b + std::min(j + s, count - 1) * stride;
    Packet<T> sums[streams];
    for (Packet<T>& sum : sums) sum = ei::pset1<Packet<T>>(T(0));
    for (Index k = 0; k < whole; k += width) {
      const auto l = ei::ploadu<Packet<T>>(a + k);
      for (Index s = 0; s < streams; ++s)
        sums[s] = ei::pmadd(l, ei::ploadu<Packet<T>>(column[s] + k), sums[s]);
    }
    const Index last = std::min(streams, count - j);
    for (Index s = 0; s < last; ++s) {
      T sum = ei::predux(sums[s]);
      for (Index k = whole; k < depth; ++k) sum += a[k] * column[s][k];
      c[j + s] += alpha * sum;
    }
  }
}

/// Adds alpha * sum over k < depth of a[k] b[k * stride + j] to c[j] for j < count: the rows of the
/// right side lie element by element, and c stays in the first-level cache meanwhile.
template <class T>
void add_row_sums(const T* a, Index depth, const T* b, Index stride, Index count, T alpha, T* c) {
  namespace ei = Eigen::internal;
  constexpr Index width = Simd<T>::width, streams = one_row_streams;
  const Index whole = count / width * width;
  for (Index k = 0; k < depth; k += streams) {
    const Index rows = std::min(streams, depth - k);
    const T* const first = b + k * stride;
    if (rows == streams) {
      Packet<T> factor[streams];
      for (Index s = 0; s < streams; ++s) factor[s] = ei::pset1<Packet<T>>(alpha * a[k + s]);
      for (Index j = 0; j < whole; j += width) {
        auto sum = ei::ploadu<Packet<T>>(c + j);
        for (Index s = 0; s < streams; ++s)
          sum = ei::pmadd(factor[s], ei::ploadu<Packet<T>>(first + s * stride + j), sum);
        ei::pstoreu(c + j, sum);
      }
    }
    for (Index s = 0; s < rows; ++s)
      for (Index j = rows == streams ? whole : 0; j < count; ++j)
        c[j] += alpha * a[k + s] * first[s * stride + j];
  }
}

/// Adds alpha * a * b to the row c of `columns` elements: a (1, depth) with `a_step` scalars from
/// one element to the next, b (depth, columns) given as its columns (see Strips). The same bits for
/// any number of threads.
template <class T>
void add_one_row_product(const T* a, Index a_step, const Strips<T>& b, Index depth, T alpha, T* c,
                         Index columns) {
  if (depth == 0) return;
  const bool by_rows = b.across == 1;
  Scratch scratch;
  if (a_step != 1) {
    T* const copy = scratch.take<T>(depth);
    for (Index k = 0; k < depth; ++k) copy[k] = a[k * a_step];
    a = copy;
  }
  // Long runs where b lies row by row, so that each of its rows is read in useful lengths.
  const Index step = by_rows ? 1024 : 128;
  const Index tasks = (columns + step - 1) / step;
  // An element of b is read in about the time of so many multiply-adds.
  const double work = 8 * static_cast<double>(columns) * static_cast<double>(depth);
  parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
    const Index j = task * step, count = std::min(step, columns - j);
    if (by_rows)
      add_row_sums<T>(a, depth, b.at(j, 0), b.along, count, alpha, c + j);
    else
      add_row_dots<T>(a, depth, b.at(j, 0), b.across, count, alpha, c + j);
  });
}

}  // namespace lora::kernels
