#include <lora/kernels/half_formats.hpp>

#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "support/catch.hpp"

using namespace lora;

namespace {

template <class T, class Format>
void check_all_bits() {
  std::vector<std::uint16_t> all(1 << 16);
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = static_cast<std::uint16_t>(i);
  std::vector<T> wide(all.size());
  kernels::widen<T, Format>(all.data(), static_cast<Index>(all.size()), wide.data());
  int different = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const float one = Format::widen(all[i]);
    const auto number = static_cast<float>(wide[i]);
    const bool same =
        std::isnan(one) ? std::isnan(number)
                        : std::bit_cast<std::uint32_t>(number) == std::bit_cast<std::uint32_t>(one);
    if (!same) ++different;
    // What was a number of the format keeps its bits.
    if (!std::isnan(one) && Format::narrow(one) != all[i]) ++different;
  }
  CHECK(different == 0);
}

}  // namespace

TEST_CASE("packets widen every number of 16 bits as one alone does") {
  check_all_bits<float, kernels::BFloat16Format>();
  check_all_bits<float, kernels::Float16Format>();
  check_all_bits<double, kernels::BFloat16Format>();
  check_all_bits<double, kernels::Float16Format>();
}
