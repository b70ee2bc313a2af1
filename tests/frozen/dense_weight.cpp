#include <lora/frozen/dense_weight.hpp>

#include "contracts/frozen_weight.hpp"

using namespace lora;

TEMPLATE_TEST_CASE("DenseWeight keeps the contract of a frozen weight", "", float, double) {
  test::check_storage<TestType>([](Matrix<TestType> w) { return DenseWeight(std::move(w)); });
}

TEST_CASE("DenseWeight takes a matrix that is moved into it without copying") {
  Matrix<float> w = test::random_matrix<float>(100, 100, 1);
  const float* data = w.data();
  const auto made = test::allocations_of([&] {
    const DenseWeight<float> weight(std::move(w));
    CHECK(weight.matrix().data() == data);
    CHECK(weight.bytes() == 40000);
  });
  CHECK(made.bytes < 40000);
}
