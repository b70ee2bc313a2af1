#include <lora/frozen/dense_weight.hpp>
#include <lora/frozen/frozen_passes.hpp>
#include <lora/frozen/packed_weight.hpp>

#include "support/catch.hpp"
#include "support/plain_weight.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

// Counts whether a storage's own products were asked for, or its panels.
struct CountingWeight : DenseWeight<float> {
  using DenseWeight<float>::DenseWeight;
  void add_product(ConstMatrixRef<float> x, MatrixRef<float> y) const {
    ++products;
    DenseWeight<float>::add_product(x, y);
  }
  void add_transposed_product(ConstMatrixRef<float> dy, MatrixRef<float> dx) const {
    ++products;
    DenseWeight<float>::add_transposed_product(dy, dx);
  }
  mutable int products = 0;
};

template <class T>
kernels::LowRankPart<T> no_low_rank() {
  return {ConstMatrixRef<T>(nullptr, 0, 0, 0), {nullptr, 1, 1}, T(1)};
}

}  // namespace

TEST_CASE("passes over a storage without panels are its products, the bias and the low rank") {
  const Index n = 5, out = 7, in = 9, rank = 2;
  const Matrix<double> w = random_matrix<double>(out, in, 1), x = random_matrix<double>(n, in, 2);
  const Matrix<double> dy = random_matrix<double>(n, out, 3), u = random_matrix<double>(n, rank, 4);
  const Matrix<double> a = random_matrix<double>(rank, in, 5),
                       b = random_matrix<double>(out, rank, 6);
  const Matrix<double> bias = random_matrix<double>(1, out, 7),
                       dx0 = random_matrix<double>(n, in, 8);
  const PlainWeight<double> weight(w);
  CHECK_FALSE(frozen_passes::forward_from_panels<double>(weight, ConstMatrixRef<double>(x)));
  Matrix<double> y(n, out), dx = dx0;
  const kernels::LowRankPart<double> of_y{u, kernels::columns_of(b.data(), rank, false), 0.5};
  const kernels::LowRankPart<double> of_dx{u, kernels::columns_of(a.data(), in, true), 0.5};
  frozen_passes::forward<double>(weight, x, bias.data(), of_y, y);
  CHECK(largest_difference(y, bias.replicate(n, 1) + x * w.transpose() + 0.5 * u * b.transpose()) <=
        Tolerance<double>(in + rank).value);
  frozen_passes::forward<double>(weight, x, nullptr, no_low_rank<double>(), y);
  CHECK(largest_difference(y, x * w.transpose()) <= Tolerance<double>(in).value);
  frozen_passes::backward<double>(weight, dy, of_dx, dx);
  const Matrix<double> dx_expected = dy * w + 0.5 * u * a;
  CHECK(largest_difference(dx, dx_expected) <= Tolerance<double>(out + rank).value);
  dx = dx0;
  frozen_passes::backward<double>(weight, dy, of_dx, dx, true);
  CHECK(largest_difference(dx, dx0 + dx_expected) <= Tolerance<double>(out + rank).value);
}

TEST_CASE(
    "one rule serves both directions: panels where they pay, a storage's products elsewhere") {
  const CountingWeight weight(random_matrix<float>(20, 30, 1));
  for (const Index n : {1, 2, 16, 17, 100}) {
    CAPTURE(n);
    const Matrix<float> x = random_matrix<float>(n, 30, 2), dy = random_matrix<float>(n, 20, 3);
    Matrix<float> y(n, 20), dx(n, 30);
    weight.products = 0;
    frozen_passes::forward<float>(weight, x, nullptr, no_low_rank<float>(), y);
    CHECK(weight.products == (weight.panels().pays(n) ? 0 : 1));
    CHECK(frozen_passes::forward_from_panels<float>(weight, ConstMatrixRef<float>(x)) ==
          weight.panels().pays(n));
    weight.products = 0;
    frozen_passes::backward<float>(weight, dy, no_low_rank<float>(), dx);
    CHECK(weight.products == (weight.transposed_panels().pays(n) ? 0 : 1));
  }
}

TEST_CASE("weights of one x share its packing, with the bits of each alone") {
  const Index n = 700, in = 9000;  // more than one band of packed rows
  REQUIRE(kernels::rows_at_once(in) < n);
  const Matrix<float> x = random_matrix<float>(n, in, 1), u = random_matrix<float>(n, 2, 2);
  const Matrix<float> b = random_matrix<float>(33, 2, 3), bias = random_matrix<float>(1, 33, 4);
  const PackedWeight<float> weight(random_matrix<float>(33, in, 5));
  const kernels::LowRankPart<float> low_rank{u, kernels::columns_of(b.data(), 2, false), 2.0F};
  Matrix<float> alone(n, 33), shared(n, 33);
  frozen_passes::forward<float>(weight, x, bias.data(), low_rank, alone);
  kernels::for_each_packed_band<float>(x, [&](const kernels::PackedLeft<float>& packed, Index row) {
    frozen_passes::forward_band<float>(weight, packed, row, bias.data(), low_rank, shared);
  });
  CHECK(same_bits(alone, shared));
}

TEST_CASE("without rows, outputs or inputs a pass is the bias alone") {
  const Matrix<float> bias = random_matrix<float>(1, 4, 1);
  const DenseWeight<float> no_inputs(Matrix<float>(4, 0)), no_outputs(Matrix<float>(0, 3));
  Matrix<float> y(20, 4), none(20, 0);
  frozen_passes::forward<float>(no_inputs, Matrix<float>(20, 0), bias.data(), no_low_rank<float>(),
                                y);
  CHECK(same_bits(y, bias.replicate(20, 1)));
  const Matrix<float> x = random_matrix<float>(20, 3, 2);
  CHECK_NOTHROW(frozen_passes::forward<float>(no_outputs, x, nullptr, no_low_rank<float>(), none));
  Matrix<float> dx = Matrix<float>::Ones(20, 3);
  frozen_passes::backward<float>(no_outputs, Matrix<float>(20, 0), no_low_rank<float>(), dx);
  CHECK((dx.array() == 0).all());
}
