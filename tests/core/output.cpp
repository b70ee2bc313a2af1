#include <lora/core/output.hpp>

#include "support/catch.hpp"
#include "support/throws.hpp"

using namespace lora;
using namespace lora::test;

TEST_CASE("an output matrix is resized, and memory has to have the shape") {
  Matrix<float> y;
  Output<float>(y).shaped(2, 3, "f", "y").setConstant(1);
  CHECK(y == Matrix<float>::Constant(2, 3, 1));
  Matrix<float> memory = Matrix<float>::Zero(4, 5);
  Output<float>(memory.topRows(2)).shaped(2, 5, "f", "y").setConstant(1);
  CHECK(memory.sum() == 10);
  const Output<float> block = memory.block(1, 1, 2, 3);
  block.shaped(2, 3, "f", "y").setConstant(2);
  CHECK(memory(2, 3) == 2);
  check_throws<ShapeError>([&] { static_cast<void>(block.shaped(3, 3, "f", "y")); },
                           "f: y is (2, 3), expected (3, 3)");
}

TEST_CASE("an output that overlaps an input is refused before it is resized") {
  Matrix<float> z = Matrix<float>::Zero(4, 4);
  check_throws<ShapeError>([&] { static_cast<void>(Output<float>(z).shaped(9, 9, "f", "y", {z})); },
                           "f: y overlaps an input");
  CHECK(z.rows() == 4);
  CHECK_THROWS_AS(Output<float>(z.middleRows(1, 2)).shaped(2, 4, "f", "y", {z.middleRows(2, 2)}),
                  ShapeError);
  CHECK_NOTHROW(Output<float>(z.topRows(2)).shaped(2, 4, "f", "y", {z.bottomRows(2)}));
}

TEST_CASE("an elementwise output may be an input, but not a part of one") {
  Matrix<float> z = Matrix<float>::Zero(4, 4);
  CHECK_NOTHROW(Output<float>(z).shaped_elementwise(4, 4, "f", "y", {z}));
  CHECK_THROWS_AS(
      Output<float>(z.topRows(2)).shaped_elementwise(2, 4, "f", "y", {z.middleRows(1, 2)}),
      ShapeError);
}

TEST_CASE("different columns of one matrix do not overlap, in whatever rows") {
  Matrix<float> z = Matrix<float>::Zero(6, 12);
  const auto both = [](const auto& a, const auto& b) {
    const bool found = overlap<float>(a, b);
    CHECK(found == overlap<float>(b, a));
    return found;
  };
  CHECK_FALSE(both(z.leftCols(4), z.middleCols(4, 4)));
  CHECK_FALSE(both(z.leftCols(4), z.rightCols(8)));
  CHECK_FALSE(both(z.block(2, 0, 3, 4), z.block(1, 8, 4, 4)));
  CHECK(both(z.leftCols(5), z.middleCols(4, 4)));
  CHECK(both(z.rightCols(1), z.middleCols(4, 8)));
  CHECK(both(z, z.middleCols(4, 1)));
  // Seen as a matrix of other columns, any row may be meant.
  const ConstMatrixRef<float> narrow(z.data(), 8, 4, 9);
  CHECK(both(narrow, z.rightCols(1)));
}

TEST_CASE("outputs of one function have memory of their own") {
  Matrix<float> a, b, z = Matrix<float>::Zero(4, 6);
  using Out = Output<float>;
  CHECK_NOTHROW(
      require_apart<float>({Out(a), Out(b), Out(z.leftCols(3)), Out(z.rightCols(3))}, "f"));
  // Empty as it is, it would be resized twice.
  check_throws<ShapeError>(
      [&] {
        require_apart<float>({Out(a), Out(b), Out(a)}, "f");
      },
      "f: two outputs overlap");
  CHECK_THROWS_AS(require_apart<float>({Out(z.leftCols(3)), Out(z)}, "f"), ShapeError);
}
