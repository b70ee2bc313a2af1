#include <lora/kernels/joined_product.hpp>
#include <lora/kernels/left_source.hpp>

#include "support/catch.hpp"
#include "support/image_patches.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

static_assert(kernels::LeftSource<kernels::MatrixRows<float>, float>);
static_assert(kernels::LeftSource<ImagePatches<float>, float>);
static_assert(!kernels::LeftSource<kernels::MatrixRows<float>, double>);

TEMPLATE_TEST_CASE("rows of a matrix, and of a transposed one, are packed for tiles", "", float,
                   double) {
  using T = TestType;
  const Matrix<T> a = random_matrix<T>(13, 29, 1), at = a.transpose();
  for (const auto& source : {kernels::MatrixRows<T>(a), kernels::MatrixRows<T>::transposed(at)}) {
    REQUIRE(source.rows() == 13);
    REQUIRE(source.depth() == 29);
    for (const Index rows : {1, 2, 4, 8}) {
      Matrix<T> out(20, rows);
      source.pack({3, rows, 5, 20}, out.data());
      CHECK(same_bits(out, a.block(3, 5, rows, 20).transpose()));
    }
  }
}

TEMPLATE_TEST_CASE("a left side may be computed: patches of an image, times a kernel", "", float,
                   double) {
  using T = TestType;
  // Deeper than a depth block, and more rows than a task packs.
  const Index height = 13, width = 11, channels = 50, out = 61, rank = 3;
  const Matrix<T> image = random_matrix<T>(height * width, channels, 1);
  const ImagePatches<T> patches{&image, height, width};
  const Matrix<T> kernel = random_matrix<T>(out, 9 * channels, 2);
  const Matrix<T> left = random_matrix<T>(height * width, rank, 3);
  const Matrix<T> factor = random_matrix<T>(out, rank, 4), bias = random_matrix<T>(1, out, 5);
  const Matrix<double> expected =
      bias.template cast<double>().replicate(height * width, 1) +
      patches.dense().template cast<double>() * kernel.template cast<double>().transpose() +
      2 * left.template cast<double>() * factor.template cast<double>().transpose();
  Matrix<T> one;
  for (const int count : {1, 2, 3}) {
    const Threads threads(count);
    Matrix<T> y(height * width, out);
    kernels::joined_product<T>(
        patches, kernels::MatrixPanels<T>{kernels::columns_of(kernel.data(), 9 * channels, false)},
        {false, bias.data()}, {left, kernels::columns_of(factor.data(), rank, false), T(2)}, y);
    CHECK(largest_difference(y, expected) <= Tolerance<T>(9 * channels + rank).value);
    if (count == 1) one = y;
    CHECK(same_bits(y, one));
  }
}
