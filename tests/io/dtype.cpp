#include <lora/io/dtype.hpp>

#include "support/catch.hpp"

using namespace lora::io;

TEST_CASE("every type is found by its name") {
  for (std::size_t i = 0; i < dtype_table.size(); ++i) {
    const auto dtype = static_cast<DType>(i);
    CHECK(dtype_named(name_of(dtype)) == dtype);
  }
  CHECK(!dtype_named("f32"));
  CHECK(!dtype_named(""));
  CHECK(!dtype_named("F32 "));
}

TEST_CASE("types have the sizes of the format") {
  CHECK(bits_of(DType::F4) == 4);
  CHECK(bits_of(DType::F6_E2M3) == 6);
  CHECK(bits_of(DType::BOOL) == 8);
  CHECK(bits_of(DType::BF16) == 16);
  CHECK(bits_of(DType::F32) == 32);
  CHECK(bits_of(DType::C64) == 64);
  CHECK(bits_of(DType::U64) == 64);
  CHECK(dtype_of<float> == DType::F32);
  CHECK(dtype_of<double> == DType::F64);
  CHECK(is_floating(DType::F16));
  CHECK(!is_floating(DType::I64));
  CHECK(!is_floating(DType::F8_E4M3));
}
