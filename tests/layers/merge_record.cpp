#include <lora/layers/merge_record.hpp>

#include <lora/frozen/dense_weight.hpp>
#include <lora/frozen/mapped_weight.hpp>
#include <lora/frozen/packed_weight.hpp>

#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("a merge is undone bit for bit, and only where nobody else has written", "",
                   DenseWeight<float>, PackedWeight<float>, DenseWeight<double>) {
  using T = typename TestType::Scalar;
  const Matrix<T> w = random_matrix<T>(37, 21, 1), b = random_matrix<T>(37, 2, 2),
                  a = random_matrix<T>(2, 21, 3);
  TestType weight(w);
  MergeRecord<T> record;
  CHECK_THROWS_AS(record.unmerge(weight, "here"), StateError);
  record.merge(weight, T(0.5), b, a, MergeMode::reversible);
  CHECK(record.merged());
  CHECK(largest_difference(weight.dense(), w + T(0.5) * b * a) <= Tolerance<T>(2, 3).value);
  record.unmerge(weight, "here");
  CHECK_FALSE(record.merged());
  CHECK(same_bits(weight.dense(), w));

  record.merge(weight, T(0.5), b, a, MergeMode::reversible);
  Matrix<T> other = weight.dense();
  other(36, 20) = -other(36, 20);  // one bit of it
  weight.assign(other);
  check_throws<StateError>([&] { record.unmerge(weight, "here"); },
                           "here: the weight is not what merge() left");
  CHECK(record.merged());
  CHECK(same_bits(weight.dense(), other));
}

TEST_CASE("the checksum of a weight depends on every element and its place") {
  const Matrix<float> w = random_matrix<float>(5, 7, 1);
  const auto sum = detail::checksum<float>(w);
  CHECK(detail::checksum<float>(Matrix<float>(w)) == sum);
  for (Index i = 0; i < w.size(); ++i) {
    Matrix<float> other = w;
    other.data()[i] = -other.data()[i];
    CHECK(detail::checksum<float>(other) != sum);
  }
  Matrix<float> swapped = w;
  swapped.row(1).swap(swapped.row(2));
  CHECK(detail::checksum<float>(swapped) != sum);
  // A block of a wider matrix has the sum of its elements alone.
  Matrix<float> wide = Matrix<float>::Ones(5, 9);
  wide.leftCols(7) = w;
  CHECK(detail::checksum<float>(wide.leftCols(7)) == sum);
}
