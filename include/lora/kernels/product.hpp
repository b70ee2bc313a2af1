#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"
#include "lora/kernels/dot_tile.hpp"
#include "lora/kernels/one_row.hpp"
#include "lora/kernels/pack.hpp"
#include "lora/kernels/panel_product.hpp"
#include "lora/kernels/panels.hpp"
#include "lora/kernels/shallow_product.hpp"

namespace lora {

/// Depth from which scalar products are worth their last step, the sums over lanes.
inline constexpr Index enough_depth = 128;

namespace detail {

// c (m x n) += alpha * a * b with a's rows and b's columns contiguous: a few tokens, for which
// packing b would cost more than multiplying with it.
template <class T>
void few_rows_product(MatrixRef<T>& c, T alpha, ConstMatrixRef<T> a, ConstMatrixRef<T> b_columns) {
  constexpr Index step = 64;
  const Index n = c.cols();
  const Index tasks = (n + step - 1) / step;
  const double work = static_cast<double>(a.size()) * static_cast<double>(n);
  parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
    kernels::add_dot_products<T>(b_columns, a, alpha, {c.data(), 1, c.outerStride()}, task * step,
                                 std::min(n, (task + 1) * step));
  });
}

}  // namespace detail

/// Computes c += alpha * a * b for c (m, n), a (m, k), b (k, n).
///
/// a and b are matrices in memory or transposes of such; c is row-major and overlaps neither. The
/// result is the same bit for bit for any number of OpenMP threads, and a second call of the same
/// shape allocates nothing. With EIGEN_USE_BLAS the BLAS makes the product, and both promises are
/// the BLAS's. Throws ShapeError.
template <class A, class B>
void add_product(MatrixRef<typename A::Scalar> c, typename A::Scalar alpha,
                 const Eigen::MatrixBase<A>& a_base, const Eigen::MatrixBase<B>& b_base) {
  using T = typename A::Scalar;
  static_assert(std::is_same_v<T, typename B::Scalar>, "a and b must hold the same scalar type");
  static_assert((int(A::Flags) & int(B::Flags) & int(Eigen::DirectAccessBit)) != 0,
                "a and b must be matrices in memory (or transposes of such): evaluate them first");
  const A& a = a_base.derived();
  const B& b = b_base.derived();
  if (a.cols() != b.rows() || c.rows() != a.rows() || c.cols() != b.cols())
    throw ShapeError(message("add_product: c ", shape_of(c), " += a ", shape_of(a), " * b ",
                             shape_of(b), ": the shapes do not fit"));
  if (c.rows() == 0 || c.cols() == 0 || a.cols() == 0) return;
#ifdef EIGEN_USE_BLAS
  c.noalias() += alpha * a * b;
#else
  const auto right = kernels::columns_of(b.data(), b.outerStride(), bool(B::IsRowMajor));
  if (c.rows() == 1)
    return kernels::add_one_row_product<T>(a.data(), bool(A::IsRowMajor) ? 1 : a.outerStride(),
                                           right, a.cols(), alpha, c.data(), c.cols());
  if constexpr (bool(A::IsRowMajor) && !bool(B::IsRowMajor))
    if (c.rows() <= kernels::few_rows && a.cols() >= enough_depth) {
      const ConstMatrixRef<T> b_columns(b.data(), b.cols(), b.rows(), b.outerStride());
      return detail::few_rows_product<T>(c, alpha, a, b_columns);
    }
  const kernels::MatrixRows<T> left(
      kernels::columns_of(a.data(), a.outerStride(), !bool(A::IsRowMajor)), a.rows(), a.cols());
  if (kernels::is_shallow(c.rows(), c.cols(), a.cols()))
    return kernels::add_shallow_product<T>(left, right, alpha, c);
  kernels::add_panel_product<T>(left, kernels::MatrixPanels<T>{right}, alpha, c);
#endif
}

}  // namespace lora
