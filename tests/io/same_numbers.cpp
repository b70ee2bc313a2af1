#include <lora/io/same_numbers.hpp>

#include <lora/io/safetensors/safetensors_writer.hpp>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace lora;
using namespace lora::io;
using namespace lora::test;

namespace {

bool same(const Tensor& stored, const Tensor& original) {
  return same_numbers({stored.dtype, stored.shape, stored.bytes},
                      {original.dtype, original.shape, original.bytes});
}

}  // namespace

TEST_CASE("tensors are compared by shape and numbers") {
  const Matrix<double> numbers = random_matrix<double>(3, 4, 1);
  const Tensor f64 = make_tensor("a", numbers);
  CHECK(same(f64, make_tensor("b", numbers)));
  CHECK_FALSE(same(f64, make_tensor("b", numbers, Shape{12})));
  Matrix<double> other = numbers;
  other(2, 3) = -other(2, 3);
  CHECK_FALSE(same(f64, make_tensor("b", other)));
  CHECK_FALSE(same({"x", DType::F32, {2}, std::vector<std::byte>(8)},
                   {"x", DType::I32, {2}, std::vector<std::byte>(8)}));
}

TEST_CASE("where types differ, the original rounded to the stored type counts") {
  const Matrix<float> numbers = random_matrix<float>(5, 7, 2);
  const Tensor base = make_tensor("base", numbers);
  for (const DType dtype : {DType::F16, DType::BF16, DType::F64}) {
    CHECK(same(make_tensor("x", numbers, dtype), base));
    Matrix<float> other = numbers;
    other(4, 6) *= 1.01F;
    CHECK_FALSE(same(make_tensor("x", other, dtype), base));
  }
  // What was rounded is not the base, though it rounds to it.
  CHECK_FALSE(same(base, make_tensor("x", numbers, DType::F16)));
}
