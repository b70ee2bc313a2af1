#include <lora/models/common/stored_rows.hpp>

#include "support/catch.hpp"

using namespace lora;
using models::row_format;

TEST_CASE("the types of safetensors that rows are looked at in have a format") {
  CHECK(row_format(io::DType::F32) == kernels::BlockFormat::F32);
  CHECK(row_format(io::DType::F16) == kernels::BlockFormat::F16);
  CHECK(row_format(io::DType::BF16) == kernels::BlockFormat::BF16);
  for (const io::DType other : {io::DType::F64, io::DType::I8, io::DType::U8, io::DType::F8_E4M3})
    CHECK(!row_format(other));
}
