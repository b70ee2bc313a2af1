#pragma once

#include "lora/core/matrix.hpp"

/// The two orders of a convolution's kernel (out, channels, height, width) as a matrix: files have
/// (channel, tap) in a row, products (tap, channel), as patches are packed.
namespace lora::kernels {

/// Copies a kernel from the order of files, (out, channels * taps), to that of products.
template <class T>
void to_tap_order(const ConstMatrixRef<T>& file, Index channels, MatrixRef<T> products) {
  const Index taps = channels == 0 ? 0 : file.cols() / channels;
  for (Index o = 0; o < file.rows(); ++o)
    for (Index c = 0; c < channels; ++c)
      for (Index t = 0; t < taps; ++t) products(o, t * channels + c) = file(o, c * taps + t);
}

/// Copies a kernel from the order of products to that of files.
template <class T>
void to_file_order(const ConstMatrixRef<T>& products, Index channels, MatrixRef<T> file) {
  const Index taps = channels == 0 ? 0 : file.cols() / channels;
  for (Index o = 0; o < file.rows(); ++o)
    for (Index c = 0; c < channels; ++c)
      for (Index t = 0; t < taps; ++t) file(o, c * taps + t) = products(o, t * channels + c);
}

/// Adds a gradient in the order of products to one in that of files.
template <class T>
void add_in_file_order(const ConstMatrixRef<T>& products, Index channels, MatrixRef<T> file) {
  const Index taps = channels == 0 ? 0 : file.cols() / channels;
  for (Index o = 0; o < file.rows(); ++o)
    for (Index c = 0; c < channels; ++c)
      for (Index t = 0; t < taps; ++t) file(o, c * taps + t) += products(o, t * channels + c);
}

}  // namespace lora::kernels
