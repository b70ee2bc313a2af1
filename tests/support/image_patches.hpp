#pragma once

#include <lora/kernels/left_source.hpp>

namespace lora::test {

/// The 3 x 3 patches of an image as a left side (height * width, 9 * channels), computed where they
/// are packed: what a convolution multiplies. Image is (height * width, channels), one row a pixel;
/// a patch lists the channels of its nine pixels, row by row, zeros outside of the image.
template <class T>
struct ImagePatches {
  const Matrix<T>* image;
  Index height, width;

  [[nodiscard]] Index rows() const { return height * width; }
  [[nodiscard]] Index depth() const { return 9 * image->cols(); }

  [[nodiscard]] T at(Index row, Index k) const {
    const Index channels = image->cols(), tap = k / channels;
    const Index y = row / width + tap / 3 - 1, x = row % width + tap % 3 - 1;
    if (y < 0 || y >= height || x < 0 || x >= width) return T(0);
    return (*image)(y * width + x, k % channels);
  }

  void pack(const kernels::LeftRequest& request, T* out) const {
    for (Index k = 0; k < request.depth; ++k)
      for (Index i = 0; i < request.rows; ++i)
        out[k * request.rows + i] = at(request.row + i, request.depth_begin + k);
  }

  /// Returns all patches as a matrix.
  [[nodiscard]] Matrix<T> dense() const {
    Matrix<T> patches(rows(), depth());
    for (Index i = 0; i < rows(); ++i)
      for (Index k = 0; k < depth(); ++k) patches(i, k) = at(i, k);
    return patches;
  }
};

}  // namespace lora::test
