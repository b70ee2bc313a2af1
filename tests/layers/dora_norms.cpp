#include <lora/layers/dora_norms.hpp>

#include <lora/frozen/dense_weight.hpp>
#include <lora/frozen/mapped_weight.hpp>
#include <lora/frozen/packed_weight.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

Matrix<float> definition(const Matrix<float>& w, const Matrix<float>& a, const Matrix<float>& b,
                         float s) {
  const Matrix<double> sum =
      w.cast<double>() + static_cast<double>(s) * (b.cast<double>() * a.cast<double>());
  return sum.rowwise().norm().transpose().cast<float>();
}

}  // namespace

TEST_CASE("the norms of W + s B A come without B A") {
  const DoraNorms<float> of_one, of_other;
  for (const Index rank : {1, 8, 40}) {
    const Matrix<float> w = random_matrix<float>(150, 90, 1), a = random_matrix<float>(rank, 90, 2),
                        b = random_matrix<float>(150, rank, 3);
    Matrix<float> n(1, 150), packed(1, 150);
    of_one.compute(DenseWeight<float>(w), a, b, 0.5F, n.data());
    of_other.compute(PackedWeight<float>(w), a, b, 0.5F, packed.data());
    const Matrix<float> expected = definition(w, a, b, 0.5F);
    CHECK(largest_difference(n, expected) < 1e-5 * static_cast<double>(expected.maxCoeff()));
    CHECK(largest_difference(n, packed) < 1e-5 * static_cast<double>(expected.maxCoeff()));
  }
}

TEST_CASE("the norms of a table's columns are those of its transpose's rows", "[threads]") {
  const Matrix<float> w = random_matrix<float>(90, 150, 1), a = random_matrix<float>(8, 150, 2);
  Matrix<float> b = random_matrix<float>(90, 8, 3), table = w.transpose();
  table.col(5) = -0.5F * (b.row(5) * a).transpose();
  table(3, 5) += 1e-2F;  // all but cancelled by the update
  Matrix<float> n(1, 90), one(1, 90);
  for (const int count : {1, 2}) {
    const Threads threads(count);
    const DoraNorms<float, ColumnsOfTable> norms;
    norms.compute(DenseWeight<float>(table), a, b, 0.5F, n.data());
    if (count == 1) one = n;
    CHECK(same_bits(n, one));
  }
  const Matrix<float> expected = definition(table.transpose(), a, b, 0.5F);
  for (Index o = 0; o < 90; ++o) CHECK(std::abs(n(0, o) - expected(0, o)) < 1e-4F * expected(0, o));
}

TEST_CASE("a row that the update all but cancels has the norm of what is left") {
  const Matrix<float> a = random_matrix<float>(2, 300, 2), b = random_matrix<float>(4, 2, 3);
  Matrix<float> w = -(b * a);
  w.row(0) = random_matrix<float>(1, 300, 4);
  w(1, 7) += 1e-3F;
  w.row(2) *= 0.999F;
  Matrix<float> n(1, 4);
  DoraNorms<float>().compute(DenseWeight<float>(w), a, b, 1, n.data());
  const Matrix<float> expected = definition(w, a, b, 1);
  for (Index o = 0; o < 4; ++o) CHECK(std::abs(n(0, o) - expected(0, o)) < 1e-4F * expected(0, o));
}

TEST_CASE("norms are remembered for the factors that they were asked for, and for no others") {
  const PackedWeight<float> weight(random_matrix<float>(70, 50, 1));
  const DoraNorms<float> norms;
  Matrix<float> a = random_matrix<float>(4, 50, 2), b = random_matrix<float>(70, 4, 3);
  Matrix<float> fresh(1, 70), recalled(1, 70);
  const auto agree = [&](float s) {
    DoraNorms<float>().compute(weight, a, b, s, fresh.data());
    norms.recall(weight, a, b, s, recalled.data());
    return same_bits(fresh, recalled);
  };
  CHECK(agree(1));
  CHECK(allocations_of([&] { norms.recall(weight, a, b, 1.0F, recalled.data()); }).count == 0);
  CHECK(agree(1));
  CHECK(agree(0.5F));
  a(3, 49) += 1e-6F;
  CHECK(agree(0.5F));
  b(69, 3) = -b(69, 3);
  CHECK(agree(0.5F));
  const Threads three(3);
  CHECK(agree(0.5F));
}

TEST_CASE("norms are those of the factors when all their signs change") {
  const DenseWeight<double> weight(random_matrix<double>(9, 8, 1));
  const Matrix<double> a = random_matrix<double>(4, 8, 2), b = random_matrix<double>(9, 4, 3);
  const Matrix<double> turned = -b;
  const DoraNorms<double> norms;
  Matrix<double> one(1, 9), other(1, 9), fresh(1, 9);
  norms.recall(weight, a, b, 1.0, one.data());
  norms.recall(weight, a, turned, 1.0, other.data());
  DoraNorms<double>().compute(weight, a, turned, 1.0, fresh.data());
  CHECK(same_bits(other, fresh));
  CHECK(largest_difference(one, other) > 1e-3);
}

TEST_CASE("borrowed memory that others may merge into is read again every time") {
  Matrix<float> w = random_matrix<float>(20, 30, 1);
  const auto weight = MappedWeight<float>::writable(w.data(), 20, 30);
  const Matrix<float> a = random_matrix<float>(2, 30, 2), b = random_matrix<float>(20, 2, 3);
  const DoraNorms<float> norms;
  Matrix<float> n(1, 20);
  norms.recall(weight, a, b, 1.0F, n.data());
  w *= 3;
  norms.recall(weight, a, b, 1.0F, n.data());
  CHECK(largest_difference(n, definition(w, a, b, 1)) < 1e-4);
}
