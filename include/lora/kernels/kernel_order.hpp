#pragma once

#include "lora/core/matrix.hpp"

/// The two orders of a convolution's kernel (out, channels, height, width) as a matrix: files have
/// (channel, tap) in a row, products (tap, channel), as patches are packed.
namespace lora::kernels {

namespace detail {

// Calls use(o, file, product) with each element's row and its columns in both orders.
template <class Use>
void for_each_kernel_element(Index rows, Index cols, Index channels, const Use& use) {
  const Index taps = channels == 0 ? 0 : cols / channels;
  for (Index o = 0; o < rows; ++o)
    for (Index c = 0; c < channels; ++c)
      for (Index t = 0; t < taps; ++t) use(o, c * taps + t, t * channels + c);
}

}  // namespace detail

/// Copies a kernel from the order of files, (out, channels * taps), to that of products.
template <class T>
void to_tap_order(const ConstMatrixRef<T>& file, Index channels, MatrixRef<T> products) {
  detail::for_each_kernel_element(file.rows(), file.cols(), channels,
                                  [&](Index o, Index in_file, Index in_product) {
                                    products(o, in_product) = file(o, in_file);
                                  });
}

/// Copies a kernel from the order of products to that of files.
template <class T>
void to_file_order(const ConstMatrixRef<T>& products, Index channels, MatrixRef<T> file) {
  detail::for_each_kernel_element(file.rows(), file.cols(), channels,
                                  [&](Index o, Index in_file, Index in_product) {
                                    file(o, in_file) = products(o, in_product);
                                  });
}

/// Adds a gradient in the order of products to one in that of files.
template <class T>
void add_in_file_order(const ConstMatrixRef<T>& products, Index channels, MatrixRef<T> file) {
  detail::for_each_kernel_element(file.rows(), file.cols(), channels,
                                  [&](Index o, Index in_file, Index in_product) {
                                    file(o, in_file) += products(o, in_product);
                                  });
}

}  // namespace lora::kernels
