#pragma once

#include <lora/core/output.hpp>

#include "support/catch.hpp"
#include "support/tolerance.hpp"

namespace lora::test {

/// Checks that write(output) puts `expected` into a matrix, which it resizes, and into memory of
/// the caller's, beside which it touches nothing, and that it refuses memory of another shape.
template <class T, class Write>
void check_output(const Matrix<T>& expected, const Write& write) {
  const Index rows = expected.rows(), cols = expected.cols();
  Matrix<T> resized;
  write(Output<T>(resized));
  CHECK(same_bits(resized, expected));
  Matrix<T> memory = Matrix<T>::Constant(rows + 2, cols + 3, T(7));
  write(Output<T>(memory.block(1, 2, rows, cols)));
  CHECK(same_bits(memory.block(1, 2, rows, cols), expected));
  memory.block(1, 2, rows, cols).setConstant(T(7));
  CHECK((memory.array() == T(7)).all());
  CHECK_THROWS_AS(write(Output<T>(memory.topRows(rows))), ShapeError);
  CHECK((memory.array() == T(7)).all());
}

/// Checks that write(input, output) refuses an output that lies over a part of its input, whether
/// it may be the input itself or not, and changes nothing then.
template <class T, class Write>
void check_partial_overlap_refused(Index rows, Index cols, const Write& write) {
  Matrix<T> memory = Matrix<T>::Constant(rows + 1, cols, T(1));
  memory.bottomRows(1).setConstant(T(2));
  const Matrix<T> before = memory;
  CHECK_THROWS_AS(write(memory.topRows(rows), Output<T>(memory.bottomRows(rows))), ShapeError);
  // A matrix that is resized under a view of it.
  CHECK_THROWS_AS(write(memory.topRows(rows), Output<T>(memory)), ShapeError);
  CHECK(same_bits(memory, before));
}

}  // namespace lora::test
