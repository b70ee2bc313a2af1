#pragma once

#include <lora/core/matrix.hpp>

namespace lora::test {

/// Returns the kernel (out, in_channels * taps) of the convolution without groups that computes
/// what `weight` (out, in_channels / groups * taps) does, as files have them: zeros between the
/// groups.
template <class W>
Matrix<double> ungrouped_kernel(const W& weight, Index groups) {
  const Index out = weight.rows() / groups, each = weight.cols();
  Matrix<double> full = Matrix<double>::Zero(weight.rows(), groups * each);
  for (Index g = 0; g < groups; ++g)
    full.block(g * out, g * each, out, each) =
        weight.middleRows(g * out, out).template cast<double>();
  return full;
}

}  // namespace lora::test
