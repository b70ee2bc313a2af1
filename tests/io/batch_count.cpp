#include <lora/io/batch_count.hpp>

#include <algorithm>

#include "support/catch.hpp"

TEST_CASE("a batch norm's count of batches is one 64-bit integer without dimensions") {
  const lora::io::Tensor tensor = lora::io::batch_count("layer1.bn2");
  CHECK(tensor.name == "layer1.bn2.num_batches_tracked");
  CHECK(tensor.dtype == lora::io::DType::I64);
  CHECK(tensor.shape.empty());
  REQUIRE(tensor.bytes.size() == 8);
  CHECK(std::count(tensor.bytes.begin(), tensor.bytes.end(), std::byte{0}) == 8);
}
