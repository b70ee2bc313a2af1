#include <lora/nn/first_token_pooling.hpp>

#include <array>

#include "support/allocations.hpp"
#include "support/catch.hpp"
#include "support/finite_difference.hpp"
#include "support/output_memory.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("first_token_pooling takes each sequence's first token") {
  const auto sequences = Sequences::masked(std::array{1, 1, 0, 0, 0, 0, 0, 1, 1}, 3);
  Matrix<double> x = random_matrix<double>(9, 5, 1), y, dx;
  first_token_pooling(x, sequences, y);
  CHECK(same_bits(y.row(0), x.row(0)));
  CHECK(y.row(1).isZero(0));
  CHECK(same_bits(y.row(2), x.row(7)));
  const Matrix<double> c = random_matrix<double>(3, 5, 2);
  first_token_pooling_backward(c, sequences, dx);
  const auto loss = [&] {
    first_token_pooling(x, sequences, y);
    return (y.array() * c.array()).sum();
  };
  CHECK(relative_error(dx, finite_difference(x, loss)) < 1e-6);
  CHECK(allocations_of([&] {
          first_token_pooling(x, sequences, y);
          first_token_pooling_backward(c, sequences, dx);
        }).count == 0);
}

TEST_CASE("first_token_pooling takes packed sequences, one of them empty, and refuses bad shapes") {
  const auto sequences = Sequences::packed(std::array{2, 0, 1});
  const Matrix<float> x = random_matrix<float>(3, 4, 1);
  Matrix<float> y;
  first_token_pooling(x, sequences, y);
  CHECK((same_bits(y.row(0), x.row(0)) && y.row(1).isZero(0) && same_bits(y.row(2), x.row(2))));
  CHECK_THROWS_AS(first_token_pooling(random_matrix<float>(4, 2, 1), sequences, y), ShapeError);
  CHECK_THROWS_AS(first_token_pooling_backward(random_matrix<float>(2, 2, 1), sequences, y),
                  ShapeError);
}

TEST_CASE("first_token_pooling writes to the caller's memory, but not over its input") {
  const auto sequences = Sequences::masked(std::array{1, 1, 0, 0, 0, 0, 0, 1, 1}, 3);
  const Matrix<float> x = random_matrix<float>(9, 5, 1), dy = random_matrix<float>(3, 5, 2);
  Matrix<float> y, dx;
  first_token_pooling(x, sequences, y);
  first_token_pooling_backward(dy, sequences, dx);
  check_output<float>(y, [&](Output<float> out) { first_token_pooling(x, sequences, out); });
  check_output<float>(dx,
                      [&](Output<float> out) { first_token_pooling_backward(dy, sequences, out); });
  Matrix<float> memory = x;
  CHECK_THROWS_AS(first_token_pooling(memory, sequences, memory), ShapeError);
  CHECK_THROWS_AS(first_token_pooling(memory, sequences, memory.topRows(3)), ShapeError);
  CHECK_THROWS_AS(first_token_pooling_backward(memory.topRows(3), sequences, memory), ShapeError);
  CHECK(same_bits(memory, x));
}
