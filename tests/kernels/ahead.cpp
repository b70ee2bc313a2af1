#include <lora/kernels/ahead.hpp>
#include <vector>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("tiles share what lies ahead, a line a step, and leave nothing out") {
  constexpr Index line = kernels::Ahead<float>::line;
  const std::vector<float> memory(1000);
  const kernels::Ahead<float> ahead{memory.data(), 4, 500, 10 * line};
  CHECK(ahead.share(0).data == memory.data());
  CHECK(ahead.share(1).data == memory.data() + 4 * line);
  CHECK(ahead.share(2).data == memory.data() + 8 * line);
  CHECK(ahead.share(2).stride == 500);
  CHECK(ahead.share(3).data == nullptr);
  CHECK(kernels::Ahead<float>{}.share(0).data == nullptr);
}
