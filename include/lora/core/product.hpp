#pragma once

#include <algorithm>

#include "lora/core/matrix.hpp"
#include "lora/core/parallel.hpp"
#include "lora/core/scratch.hpp"

namespace lora {

namespace detail {

// The blocks of one matrix product, which follow from the shape alone and so are the same for any
// number of threads. Names as in Eigen's kernels, which want the result column-major: what they
// call the left side is the transposed right side of ours.
template <class T>
struct ProductBlocks {
  using Traits = Eigen::internal::gebp_traits<T, T>;

  ProductBlocks(Index m, Index n, Index k) : mc(m), nc(n), kc(k) {
    Eigen::internal::computeProductBlockingSizes<T, T>(kc, mc, nc, Index{1});
    kc = std::min(kc, k);
    constexpr Index mr = Traits::mr;
    // Few rows a task keep the packed left side in the second-level cache and leave enough tasks
    // to share; a multiple of the register block leaves no ragged edge inside the matrix.
    mc = std::min(m, std::max(mr, Index{192} / mr * mr));
    // Columns whose packed block for the whole depth stays in the last-level cache.
    constexpr Index columns_step = 64;
    const Index fitting = Index{4 << 20} / static_cast<Index>(sizeof(T)) / std::max<Index>(k, 1);
    nc = std::min(n, std::max(columns_step, fitting / columns_step * columns_step));
    const bool enough_row_tasks = (m + mc - 1) / mc >= 4;
    n_task = enough_row_tasks ? nc : std::min(nc, columns_step);
  }

  Index mc;      // rows of the left side a task
  Index nc;      // columns of the right side that are packed at a time
  Index kc;      // depth of a block
  Index n_task;  // columns a task
};

// res (m x n, column-major) += alpha * left (m x k) * right (k x n), with Eigen's packing and
// register kernel. Eigen's own driver is not used because it allocates at every call and because
// its blocks, hence its rounding, depend on the number of threads.
template <class T, int LeftOrder, int RightOrder>
void blocked_product(T* res, Index res_stride, const T* left, Index left_stride, const T* right,
                     Index right_stride, Index m, Index n, Index k, T alpha) {
  namespace ei = Eigen::internal;
  using Traits = ei::gebp_traits<T, T>;
  using LeftMapper = ei::const_blas_data_mapper<T, Index, LeftOrder>;
  using RightMapper = ei::const_blas_data_mapper<T, Index, RightOrder>;
  using ResMapper = ei::blas_data_mapper<T, Index, Eigen::ColMajor, Eigen::Unaligned, 1>;
  using PackLeft = ei::gemm_pack_lhs<T, Index, LeftMapper, Traits::mr, Traits::LhsProgress,
                                     typename Traits::LhsPacket4Packing, LeftOrder>;
  using PackRight = ei::gemm_pack_rhs<T, Index, RightMapper, Traits::nr, RightOrder>;
  using Kernel = ei::gebp_kernel<T, T, Index, ResMapper, Traits::mr, Traits::nr, false, false>;

  const ProductBlocks<T> blocks(m, n, k);
  const Index row_tasks = (m + blocks.mc - 1) / blocks.mc;
  Scratch shared;
  T* packed_right = shared.take<T>(blocks.nc * k);

  for (Index j0 = 0; j0 < n; j0 += blocks.nc) {
    const Index columns = std::min(blocks.nc, n - j0);
    const Index column_tasks = (columns + blocks.n_task - 1) / blocks.n_task;
    const Index tasks = row_tasks * column_tasks;
    const double work =
        static_cast<double>(m) * static_cast<double>(columns) * static_cast<double>(k);

    constexpr Index pack_step = 64;  // columns; a multiple of every kernel's nr
    const Index pack_tasks = (columns + pack_step - 1) / pack_step;
    parallel_for(pack_tasks, threads_for(pack_tasks, work), [&](Index task) {
      const Index j = task * pack_step;
      const Index width = std::min(pack_step, columns - j);
      for (Index k0 = 0; k0 < k; k0 += blocks.kc) {
        const Index depth = std::min(blocks.kc, k - k0);
        PackRight{}(packed_right + k0 * columns + j * depth,
                    RightMapper(right, right_stride).getSubMapper(k0, j0 + j), depth, width);
      }
    });

    parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
      const Index i = task / column_tasks * blocks.mc;
      const Index j = task % column_tasks * blocks.n_task;
      const Index rows = std::min(blocks.mc, m - i);
      const Index width = std::min(blocks.n_task, columns - j);
      Scratch own;
      T* packed_left = own.take<T>(rows * std::min(blocks.kc, k));
      for (Index k0 = 0; k0 < k; k0 += blocks.kc) {
        const Index depth = std::min(blocks.kc, k - k0);
        PackLeft{}(packed_left, LeftMapper(left, left_stride).getSubMapper(i, k0), depth, rows);
        Kernel{}(ResMapper(res, res_stride).getSubMapper(i, j0 + j), packed_left,
                 packed_right + k0 * columns + j * depth, rows, depth, width, alpha);
      }
    });
  }
}

// c (1 x n) += alpha * a (1 x k) * b (k x n): one token, bound by reading b once.
template <class T, class A, class B>
void one_row_product(MatrixRef<T>& c, T alpha, const A& a, const B& b) {
  // Long runs where b lies row by row, so that each of its rows is read in useful lengths.
  constexpr Index step = B::IsRowMajor ? 1024 : 128;
  const Index n = b.cols();
  const Index tasks = (n + step - 1) / step;
  const double work = static_cast<double>(n) * static_cast<double>(b.rows());
  parallel_for(tasks, threads_for(tasks, work), [&](Index task) {
    const Index j = task * step;
    const Index width = std::min(step, n - j);
    c.row(0).segment(j, width).transpose().noalias() +=
        alpha * (b.middleCols(j, width).transpose() * a.row(0).transpose());
  });
}

}  // namespace detail

/// Computes c += alpha * a * b for c (m, n), a (m, k), b (k, n).
///
/// a and b are matrices in memory or transposes of such; c is row-major and overlaps neither. The
/// result is the same bit for bit for any number of OpenMP threads, and a second call of the same
/// shape allocates nothing. With EIGEN_USE_BLAS the product is the BLAS's and both promises are
/// its own. Throws ShapeError.
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
  if (c.rows() == 1) {
    detail::one_row_product<T>(c, alpha, a, b);
    return;
  }
  constexpr int left_order = B::IsRowMajor ? Eigen::ColMajor : Eigen::RowMajor;
  constexpr int right_order = A::IsRowMajor ? Eigen::ColMajor : Eigen::RowMajor;
  detail::blocked_product<T, left_order, right_order>(c.data(), c.outerStride(), b.data(),
                                                      b.outerStride(), a.data(), a.outerStride(),
                                                      c.cols(), c.rows(), a.cols(), alpha);
#endif
}

}  // namespace lora
