#include <lora/core/fixed_matrix.hpp>

#include <type_traits>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace lora;
using namespace lora::test;

template <class M>
concept Resizable = requires(M& m) {
  m.resize(1, 2);
};

TEST_CASE("a fixed matrix reads and writes like a matrix") {
  const Matrix<float> start = random_matrix<float>(3, 4, 1);
  FixedMatrix<float> m(start);
  CHECK(m == start);
  m += start;
  CHECK(m == 2 * start);
  m = start.transpose().transpose();
  CHECK(m == start);
  m.setZero();
  CHECK(m.isZero());
  const MatrixRef<float> view = m;
  CHECK(view.data() == m.data());
}

TEST_CASE("a fixed matrix keeps its shape") {
  const Matrix<float> start = random_matrix<float>(3, 4, 1);
  FixedMatrix<float> m(start);
  CHECK_THROWS_AS(m = random_matrix<float>(4, 3, 1), ShapeError);
  CHECK_THROWS_AS(m = FixedMatrix<float>(), ShapeError);
  CHECK(m == start);
  STATIC_REQUIRE(Resizable<Matrix<float>>);
  STATIC_REQUIRE(!Resizable<FixedMatrix<float>>);
  STATIC_REQUIRE(!std::is_convertible_v<FixedMatrix<float>&, Matrix<float>&>);
}

TEST_CASE("a fixed matrix keeps shape and memory, whoever moves it away") {
  FixedMatrix<double> m(random_matrix<double>(5, 2, 1)), other(random_matrix<double>(5, 2, 2));
  const Matrix<double> start = m, others = other;
  const double* const at = m.data();
  const FixedMatrix<double> taken = std::move(m);
  CHECK(taken == start);
  CHECK(taken.data() != at);
  CHECK(m == start);
  std::swap(m, other);
  CHECK(m == others);
  CHECK(other == start);
  CHECK(m.data() == at);
  m.swap(other);
  CHECK(other.data() == at);
  CHECK(m == start);
  FixedMatrix<double> longer(random_matrix<double>(6, 2, 1));
  CHECK_THROWS_AS(m.swap(longer), ShapeError);
  CHECK(m == start);
}
