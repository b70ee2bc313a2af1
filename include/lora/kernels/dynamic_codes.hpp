#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lora/core/finite.hpp"
#include "lora/core/rounded.hpp"

/// The codes of eight bits by which bitsandbytes 0.50 quantises the scales of four-bit weights once
/// more ("double quantisation", QLoRA): an exponent of base ten and a fraction, of both signs.
namespace lora::kernels {

/// Returns the number that each code stands for, in rising order: bitsandbytes' create_dynamic_map,
/// to the bit.
[[nodiscard]] inline std::array<float, 256> dynamic_values() {
  constexpr std::array<double, 7> decades{1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1e0};
  std::array<float, 256> values{};
  std::size_t count = 0;
  for (std::size_t decade = 0; decade < decades.size(); ++decade) {
    // The means of neighbours among so many steps from 0.1 to 1, as torch.linspace counts them:
    // from the nearer end, and rounded once.
    const int steps = 1 << decade;
    const float step = (1.0F - 0.1F) / static_cast<float>(steps);
    const auto bound = [&](int i) {
      return i < (steps + 1) / 2 ? std::fma(step, static_cast<float>(i), 0.1F)
                                 : std::fma(-step, static_cast<float>(steps - i), 1.0F);
    };
    for (int i = 0; i < steps; ++i) {
      const float mean = (bound(i) + bound(i + 1)) / 2;
      const float value = static_cast<float>(decades[decade]) * mean;
      values[count++] = value;
      values[count++] = -value;
    }
  }
  values[count++] = 0;
  values[count++] = 1;
  std::sort(values.begin(), values.end());
  return values;
}

/// Numbers in such codes, with a scale for each block of 256.
struct DynamicCodes {
  std::vector<std::uint8_t> codes;
  std::vector<float> scales;
};

/// Returns the codes of `numbers`: bitsandbytes' quantize_blockwise on a CPU, to the bit, which
/// goes through a table of 65,536 places and is not always the nearest.
[[nodiscard]] inline DynamicCodes encode_dynamic(std::span<const float> numbers) {
  constexpr std::size_t block = 256, places = 65536;
  const std::array<float, 256> values = dynamic_values();
  std::vector<std::uint8_t> nearest(places);
  std::size_t code = 0;
  for (std::size_t i = 0; i < places; ++i) {
    const float value = -1.0F + rounded(2.0F * static_cast<float>(i) / 65535.0F);
    while (code < 255 && 0.5F * (values[code] + values[code + 1]) < value) ++code;
    nearest[i] = static_cast<std::uint8_t>(code);
  }
  DynamicCodes encoded;
  encoded.codes.resize(numbers.size());
  for (std::size_t begin = 0; begin < numbers.size(); begin += block) {
    const auto part = numbers.subspan(begin, std::min(block, numbers.size() - begin));
    float largest = 0;
    for (const float number : part) largest = std::max(largest, std::abs(number));
    encoded.scales.push_back(largest);
    if (largest == 0) continue;
    const float inverse = 1 / largest;
    for (std::size_t i = 0; i < part.size(); ++i) {
      // The reciprocal of the smallest numbers is no float.
      const float quotient = is_finite(inverse) ? rounded(part[i] * inverse) : part[i] / largest;
      const float scaled = std::clamp(quotient, -1.0F, 1.0F);
      const float place = rounded((scaled + 1.0F) * 0.5F * 65535.0F);
      encoded.codes[begin + i] = nearest[static_cast<std::size_t>(std::floor(place + 0.5F))];
    }
  }
  return encoded;
}

}  // namespace lora::kernels
