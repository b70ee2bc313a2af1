#include <lora/adapters/weighted_sum.hpp>

#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

namespace {

Matrix<double> row(std::initializer_list<double> values) {
  Matrix<double> matrix(1, static_cast<Index>(values.size()));
  std::copy(values.begin(), values.end(), matrix.data());
  return matrix;
}

}  // namespace

TEST_CASE("a weighted sum adds all, an elected one what has the majority's sign") {
  // Columns: agreement, a large minority, a tie of signs and sums, zeros, one alone, all negative.
  const std::vector<Matrix<double>> tensors{row({1, 5, 1, 0, 0, -1}), row({2, -1, -1, 0, -3, -2}),
                                            row({3, -2, 0, 0, 0, -3})};
  const std::vector<double> weights{1, 10, 100};
  CHECK(same_bits(weighted_sum(tensors, weights), row({321, -205, -9, 0, -30, -321})));
  CHECK(same_bits(majority_sign_sum(tensors, weights, MajoritySign::total),
                  row({107, 5, 1, 0, -30, -107})));
  CHECK(same_bits(majority_sign_sum(tensors, weights, MajoritySign::frequency),
                  row({107, -105, 1, 0, -30, -107})));
}

TEST_CASE("tensors of several shapes, and weights of another number, are refused") {
  check_throws<ShapeError>(
      [] {
        static_cast<void>(weighted_sum<double>({row({1}), row({1, 2})}, {1, 1}));
      },
      "weighted_sum: a tensor is (1, 2), expected (1, 1)");
  check_throws<ShapeError>(
      [] { static_cast<void>(majority_sign_sum<double>({row({1})}, {}, MajoritySign::total)); },
      "majority_sign_sum: 1 tensors and 0 weights");
}
