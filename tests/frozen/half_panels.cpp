#include <lora/frozen/half_panels.hpp>

#include <cstdint>
#include <vector>

#include "support/catch.hpp"

using namespace lora;

TEST_CASE("a panel of 16 bits is widened, its columns whole packets") {
  constexpr Index width = Simd<float>::width;
  const Index in = 3;
  std::vector<std::uint16_t> bits(static_cast<std::size_t>(width * in));
  for (std::size_t i = 0; i < bits.size(); ++i)
    bits[i] = kernels::bfloat16_of_float(static_cast<float>(i));
  const HalfPanels<float, kernels::BFloat16Format> panels{{nullptr, 1, in}, bits.data()};
  std::vector<float> buffer(static_cast<std::size_t>(kernels::depth_block * 4 * width));
  const auto panel = panels.panel({0, 1, 0, in, 1}, buffer.data());
  CHECK(panel.stride == width);
  for (Index i = 0; i < in; ++i)
    CHECK(panel.data[i * panel.stride] == static_cast<float>(i * width));
  CHECK(panels.at(0, 2) == bits.data() + 2 * width);
}
