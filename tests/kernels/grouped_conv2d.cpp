#include <lora/kernels/grouped_conv2d.hpp>

#include <lora/frozen/half_weight.hpp>
#include <lora/frozen/packed_weight.hpp>
#include <lora/kernels/kernel_order.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/naive_conv2d.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"
#include "support/ungrouped_kernel.hpp"

using namespace lora;
using namespace lora::kernels;
using namespace lora::test;

namespace {

// y = bias + scale * (x * W) + xa F, and dx of dy = y.
template <class T>
struct GroupedResults {
  Matrix<T> y, dx;
};

template <class T, class Frozen>
GroupedResults<T> grouped_results(const Matrix<T>& x, const ImageShape& in, const Window& window,
                                  const ConvGroups& groups, const Frozen& w, const Matrix<T>& rows,
                                  const Matrix<T>& xa, const Matrix<T>& factor) {
  const ImageShape out = output_shape(window, in, "here");
  GroupedResults<T> all{Matrix<T>(out.rows(), groups.groups * groups.out),
                        Matrix<T>(x.rows(), x.cols())};
  Scratch scratch;
  const auto images = padded_images<T>(window, in, x, scratch);
  grouped_conv2d_forward<T>(
      images.x, window_taps(images.window, images.in, out), groups, w.panels(), &rows(0, 0),
      &rows(1, 0), {xa, columns_of(factor.data(), factor.outerStride(), true), T(2)}, all.y);
  grouped_conv2d_images_gradient<T>(window, in, out, groups, all.y, w.panels(),
                                    w.transposed_panels(), &rows(1, 0), all.dx);
  return all;
}

template <class T, class Frozen>
void check_groups(const Window& window, const ConvGroups& groups, double tolerance) {
  CAPTURE(window.kernel_height, window.stride_height, window.padding_height, groups.groups,
          groups.channels, groups.out);
  const ImageShape in{2, 7, 6}, size = output_shape(window, in, "here");
  const Index channels = groups.groups * groups.channels, outs = groups.groups * groups.out;
  const Matrix<T> x = random_matrix<T>(in.rows(), channels, 1), rows = random_matrix<T>(2, outs, 3),
                  xa = random_matrix<T>(size.rows(), 2 * groups.groups, 4),
                  b = random_matrix<T>(outs, 2, 5);
  Matrix<T> file = random_matrix<T>(outs, groups.channels * window.taps(), 2), w = file;
  to_tap_order<T>(file, groups.channels, w);
  const Frozen frozen(w);
  w = frozen.dense();
  to_file_order<T>(w, groups.channels, file);
  Matrix<T> full(outs, xa.cols());
  to_block_diagonal<T>(b, groups.groups, full);
  const Matrix<T> factor = full.transpose();
  const auto [y, dx] = grouped_results<T>(x, in, window, groups, frozen, rows, xa, factor);
  const Matrix<double> kernel = ungrouped_kernel(file, groups.groups);
  const auto convolved = [&](const Matrix<T>& images) {
    return (naive_conv2d(images, in, kernel, window).array().rowwise() *
            rows.row(1).template cast<double>().array())
        .matrix()
        .eval();
  };
  const Matrix<double> expected =
      (convolved(x) + 2 * (xa * factor).template cast<double>()).rowwise() +
      rows.row(0).template cast<double>();
  CHECK(largest_difference(y, expected) < tolerance);
  // The transposed map: dx . v = y . conv(v).
  const Matrix<T> v = random_matrix<T>(in.rows(), channels, 6);
  const double forward = (y.template cast<double>().array() * convolved(v).array()).sum();
  const double back =
      (dx.template cast<double>().array() * v.template cast<double>().array()).sum();
  CHECK(std::abs(forward - back) < tolerance * (1 + y.template cast<double>().norm()) * 20);
}

}  // namespace

TEST_CASE("a convolution in groups is that of the kernel with zeros between them, both ways") {
  for (const ConvGroups& groups : {ConvGroups{2, 3, 5},
                                   {6, 1, 1},
                                   {70, 1, 1},
                                   {5, 1, 3},
                                   {3, 4, 1},
                                   {33, 2, 2},
                                   {2, 60, 50},
                                   {1, 3, 4}})
    for (const Window& window : all_windows())
      check_groups<double, PackedWeight<double>>(window, groups, 1e-11);
}

TEST_CASE("groups of a weight in half precision compute with what that holds") {
  for (const ConvGroups& groups : {ConvGroups{3, 20, 30}, {9, 1, 1}, {8, 4, 4}})
    check_groups<float, HalfWeight<float>>(Window::square(3, 2, 1), groups, 1e-4);
}

TEST_CASE("the blocks of a factor's diagonal go there and back") {
  const Matrix<double> b = random_matrix<double>(6, 2, 1);
  Matrix<double> full(6, 6), sum = b;
  to_block_diagonal<double>(b, 3, full);
  CHECK((full.array() != 0).count() == 12);
  CHECK(same_bits(Matrix<double>(full.block(2, 2, 2, 2)), Matrix<double>(b.middleRows(2, 2))));
  add_diagonal_blocks<double>(full, 3, sum);
  CHECK(same_bits(sum, Matrix<double>(2 * b)));
}
