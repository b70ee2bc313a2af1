#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/core/packets.hpp"
#include "lora/core/parallel.hpp"

namespace lora {

/// Calls body(row) for every row in [0, rows) of a matrix of `cols` columns on the library's
/// threads, neighbouring rows together; the rows must not depend on each other. `cost` says how
/// many multiply-adds one element takes as long as: about 16 where memory is the limit, 32 for an
/// exponential.
template <class Body>
void for_each_row(Index rows, Index cols, double cost, const Body& body) {
  constexpr Index elements_per_task = 4096;
  const Index step = std::max<Index>(1, elements_per_task / std::max<Index>(1, cols));
  const Index tasks = (rows + step - 1) / step;
  const double work = cost * static_cast<double>(rows) * static_cast<double>(cols);
  parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
    const Index end = std::min(rows, (task + 1) * step);
    for (Index row = task * step; row < end; ++row) body(row);
  });
}

/// Computes out = f(in...) for each element, a packet at a time (see `packets`), in one pass over
/// memory on the library's threads. All matrices, out being a `Matrix<T>` or a `MatrixRef<T>`, have
/// the shape of out, which the caller has checked; out may be any of the inputs. `cost` as for
/// for_each_row.
template <class Out, class F, class... In>
void elementwise(Out& out, double cost, const F& f, const In&... in) {
  for_each_row(out.rows(), out.cols(), cost, [&](Index row) {
    packets::transform(out.cols(), out.data() + row * out.outerStride(), f,
                       (in.data() + row * in.outerStride())...);
  });
}

/// Adds x to sum, both (N, M): a residual. They are no part of each other.
template <class T>
void add_to(ConstMatrixRef<T> x, MatrixRef<T> sum) {
  elementwise(
      sum, 16, [](const Packet<T>& a, const Packet<T>& b) { return Eigen::internal::padd(a, b); },
      sum, x);
}

}  // namespace lora
