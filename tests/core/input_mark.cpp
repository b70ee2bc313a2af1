#include <lora/core/input_mark.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace lora;
using namespace lora::test;

TEMPLATE_TEST_CASE("a mark knows its matrix from one of other elements", "", float, double) {
  using T = TestType;
  for (const Index rows : {0, 1, 2, 16, 17, 100})
    for (const Index cols : {0, 1, 3, 64}) {
      CAPTURE(rows, cols);
      Matrix<T> x = random_matrix<T>(rows, cols, 1);
      const InputMark<T> mark(x);
      CHECK_NOTHROW(mark.require(x, "here"));
      CHECK_THROWS_AS(mark.require(random_matrix<T>(rows + 1, cols, 1), "here"), StateError);
      if (x.size() == 0) continue;
      x.setConstant(T(7));
      CHECK_THROWS_AS(mark.require(x, "here"), StateError);
    }
}

TEST_CASE("a mark of few elements knows each of them") {
  Matrix<float> x = random_matrix<float>(4, 4, 1);
  const InputMark<float> mark(x);
  for (Index i = 0; i < x.size(); ++i) {
    const float before = std::exchange(x.data()[i], 9.0F);
    CHECK_THROWS_AS(mark.require(x, "here"), StateError);
    x.data()[i] = before;
  }
  CHECK_NOTHROW(mark.require(x, "here"));
}

TEST_CASE("a mark takes a copy for its matrix where it is asked to") {
  Matrix<float> x = random_matrix<float>(40, 7, 1), copy = x;
  const InputMark<float> mark(x);
  CHECK_THROWS_AS(mark.require(copy, "here"), StateError);
  CHECK_NOTHROW(mark.require_elements(copy, "here"));
  copy(0, 0) += 1;
  CHECK_THROWS_AS(mark.require_elements(copy, "here"), StateError);
  CHECK_THROWS_AS(mark.require_elements(x.topRows(3), "here"), StateError);
  CHECK_NOTHROW(InputMark<float>().require_elements(copy, "here"));
}
