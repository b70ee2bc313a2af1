#include <lora/init/orthonormal_rows.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("rows become an orthonormal basis of what they span", "", float, double) {
  using T = TestType;
  const Matrix<T> before = random_matrix<T>(12, 70, 1);
  Matrix<T> basis = before;
  orthonormalise_rows<T>(basis);
  const Matrix<double> q = basis.template cast<double>();
  CHECK(largest_difference(q * q.transpose(), Matrix<double>::Identity(12, 12)) <=
        Tolerance<T>(1).value);
  const Matrix<double> rows = before.template cast<double>();
  CHECK(largest_difference(rows * q.transpose() * q, rows) <= Tolerance<T>(70).value);
}

TEST_CASE("nearly parallel rows still give an orthonormal basis") {
  Matrix<double> rows = random_matrix<double>(6, 50, 1);
  for (Index i = 1; i < 6; ++i) rows.row(i) = rows.row(0) + 1e-9 * rows.row(i);
  orthonormalise_rows<double>(rows);
  CHECK(largest_difference(rows * rows.transpose(), Matrix<double>::Identity(6, 6)) < 1e-12);
}

TEST_CASE("a row that others span becomes zero") {
  Matrix<float> rows = random_matrix<float>(5, 9, 1);
  rows.row(1).setZero();
  rows.row(3) = 2 * rows.row(0) - rows.row(2);
  orthonormalise_rows<float>(rows);
  CHECK(rows.row(1).isZero(0));
  CHECK(rows.row(3).isZero(0));
  Matrix<double> expected = Matrix<double>::Identity(5, 5);
  expected(1, 1) = expected(3, 3) = 0;
  CHECK(largest_difference((rows * rows.transpose()).eval(), expected) < 1e-6);
  // More rows than dimensions.
  Matrix<double> many = random_matrix<double>(7, 3, 2);
  orthonormalise_rows<double>(many);
  CHECK(many.bottomRows(4).isZero(0));
}
