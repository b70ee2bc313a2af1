#pragma once

#include <Eigen/Eigenvalues>
#include <limits>

#include "lora/core/matrix.hpp"
#include "lora/core/thread_limit.hpp"

namespace lora {

/// Returns (M M^T + damping I)^-1 (R, R) for M = `rows` (R, n) with a small R, as torch.linalg.pinv
/// computes it: directions whose eigenvalue is below R epsilon times the largest are left out.
/// Computed in double; the same bits for any number of threads.
template <class T>
[[nodiscard]] Matrix<T> damped_inverse(ConstMatrixRef<T> rows, double damping) {
  const ThreadLimit limit(1);  // Eigen's own products depend on the number of threads
  const Eigen::MatrixXd m = rows.template cast<double>();
  Eigen::MatrixXd gram = m * m.transpose();
  gram.diagonal().array() += damping;
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(gram);
  const double least = static_cast<double>(rows.rows()) *
                       static_cast<double>(std::numeric_limits<T>::epsilon()) *
                       solver.eigenvalues().cwiseAbs().maxCoeff();
  const Eigen::VectorXd inverse = solver.eigenvalues().unaryExpr(
      [least](double value) { return value > least ? 1 / value : 0.0; });
  const Eigen::MatrixXd result =
      solver.eigenvectors() * inverse.asDiagonal() * solver.eigenvectors().transpose();
  return result.template cast<T>();
}

}  // namespace lora
