#pragma once

#include <Eigen/QR>

#include "lora/core/matrix.hpp"
#include "lora/core/number_checks.hpp"
#include "lora/core/thread_limit.hpp"
#include "lora/init/low_rank_factors.hpp"
#include "lora/init/split_start.hpp"
#include "lora/kernels/product.hpp"

namespace lora {

/// Starts B with orthonormal columns: W (out, in) is Q R by Householder's reflections, and
///
///     B = the first `rank` columns of Q,    A = the first rows of R,    base = W - s B A
///
/// (Buyukakyuz, "OLoRA", 2024, arXiv 2406.01775; PEFT 0.21's init_lora_weights="olora"). As there,
/// s, which is `scaling`, enters the base alone. It costs a decomposition of W's first columns and
/// one product of W with B: far less than PiSSA.
///
/// The same bits for any number of threads. Throws ConfigError for a rank that is not from 1 to
/// min(out, in), a scaling that is not finite, and a number of W that is not, naming its place.
template <class T>
[[nodiscard]] SplitStart<T> olora(ConstMatrixRef<T> weight, Index rank, double scaling) {
  require_finite(scaling, "olora", "scaling");
  require_decomposable<T>(weight, rank, "olora");
  SplitStart<T> start;
  {
    // The reflections of the first columns are all that the first columns of Q are made of.
    const ThreadLimit limit(1);  // Eigen's own products depend on the number of threads
    const Eigen::HouseholderQR<Eigen::MatrixXd> qr(
        weight.leftCols(rank).template cast<double>().eval());
    const Eigen::MatrixXd q = qr.householderQ() * Eigen::MatrixXd::Identity(weight.rows(), rank);
    start.b = q.template cast<T>();
  }
  start.a = Matrix<T>::Zero(rank, weight.cols());
  add_product(start.a, T(1), start.b.transpose(), weight);
  for (Index i = 1; i < rank; ++i) start.a.row(i).head(i).setZero();  // R's lower triangle
  detail::split_base<T>(weight, scaling, start, "olora");
  return start;
}

}  // namespace lora
