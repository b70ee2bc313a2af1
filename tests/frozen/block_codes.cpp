#include <lora/frozen/block_codes.hpp>

#include <cstdint>
#include <memory>
#include <vector>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("BlockCodes keep what they look at alive, and say what of it is theirs") {
  auto bytes = std::make_shared<std::vector<std::uint8_t>>(34 * 2);
  bytes->at(34) = 1;  // the smallest half, as the scale of row 1
  bytes->at(36) = 3;
  const std::weak_ptr<std::vector<std::uint8_t>> alive = bytes;
  const std::uint8_t* data = bytes->data();
  auto codes = std::make_unique<BlockCodes>(kernels::BlockFormat::Q8_0, data, 2, 32,
                                            std::move(bytes), std::size_t{68});
  const BlockCodes copy = *codes;
  codes.reset();
  CHECK_FALSE(alive.expired());
  CHECK(copy.bytes() == 68);
  const float first = copy.visit([](const auto& rows) { return rows.run(1, 0).vector(0)[0]; });
  CHECK(first == 3 * 0x1p-24F);
}
