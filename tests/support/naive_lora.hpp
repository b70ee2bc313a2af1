#pragma once

#include <type_traits>

#include <lora/core/matrix.hpp>

namespace lora::test {

/// Computes LoRA's forward in double by its definition, one sum after the other:
/// y = x W^T + b + s (x * mask) A^T B^T, with an empty bias or mask for none.
template <class T>
[[nodiscard]] Matrix<double> naive_lora(const Matrix<T>& x, const Matrix<T>& w,
                                        std::type_identity_t<ConstMatrixRef<T>> bias,
                                        std::type_identity_t<ConstMatrixRef<T>> a,
                                        std::type_identity_t<ConstMatrixRef<T>> b, double s,
                                        const Matrix<T>& mask = {}) {
  Matrix<double> y = Matrix<double>::Zero(x.rows(), w.rows());
  for (Index n = 0; n < x.rows(); ++n)
    for (Index o = 0; o < w.rows(); ++o) {
      double sum = bias.size() > 0 ? static_cast<double>(bias(0, o)) : 0;
      for (Index i = 0; i < x.cols(); ++i)
        sum += static_cast<double>(x(n, i)) * static_cast<double>(w(o, i));
      for (Index r = 0; r < a.rows(); ++r) {
        double xa = 0;
        for (Index i = 0; i < x.cols(); ++i) {
          const double kept = mask.size() > 0 ? static_cast<double>(mask(n, i)) : 1;
          xa += kept * static_cast<double>(x(n, i)) * static_cast<double>(a(r, i));
        }
        sum += s * xa * static_cast<double>(b(o, r));
      }
      y(n, o) = sum;
    }
  return y;
}

}  // namespace lora::test
