#pragma once

#include "lora/core/image_shape.hpp"
#include "lora/core/output.hpp"
#include "lora/core/parallel.hpp"

namespace lora {

/// Computes y (images, C): the mean over the pixels of each image of x (in.rows(), C). y is no part
/// of x. Throws ShapeError. As PyTorch's AdaptiveAvgPool2d(1).
template <class T>
void pixel_mean(ConstMatrixRef<T> x, const ImageShape& in, Output<T> y) {
  constexpr const char* where = "pixel_mean";
  require_pixels(x, in, x.cols(), where, "x");
  MatrixRef<T> to = y.shaped(in.images, x.cols(), where, "y", {x});
  const Index pixels = in.height * in.width;
  const double work = 16 * static_cast<double>(x.rows()) * static_cast<double>(x.cols());
  parallel_for(in.images, threads_for(in.images, work), [&](Index image) {
    to.row(image).setZero();
    for (Index i = 0; i < pixels; ++i) to.row(image) += x.row(image * pixels + i);
    to.row(image) /= static_cast<T>(pixels);
  });
}

/// Computes the gradient dx (in.rows(), C) of pixel_mean's input from dy (images, C). dx is no part
/// of dy. Throws ShapeError.
template <class T>
void pixel_mean_backward(ConstMatrixRef<T> dy, const ImageShape& in, Output<T> dx) {
  constexpr const char* where = "pixel_mean_backward";
  require_shape(dy, in.images, dy.cols(), where, "dy", "images");
  MatrixRef<T> to = dx.shaped(in.rows(), dy.cols(), where, "dx", {dy});
  const Index pixels = in.height * in.width;
  const double work = 16 * static_cast<double>(to.rows()) * static_cast<double>(dy.cols());
  parallel_for(in.images, threads_for(in.images, work), [&](Index image) {
    const Index first = image * pixels;
    to.row(first) = dy.row(image) / static_cast<T>(pixels);
    for (Index i = 1; i < pixels; ++i) to.row(first + i) = to.row(first);
  });
}

}  // namespace lora
