#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "lora/core/error.hpp"
#include "lora/core/matrix.hpp"
#include "lora/core/rounded.hpp"
#include "lora/kernels/dynamic_codes.hpp"

namespace lora {

/// The scales of a four-bit weight's blocks: floats, or codes of eight bits with an offset and a
/// scale for each 256 of them.
class FourBitScales {
 public:
  /// The codes that share one scale in a double quantisation.
  static constexpr std::size_t nested_block = 256;

  /// No scales.
  FourBitScales() = default;

  /// Takes one float for each block.
  explicit FourBitScales(std::vector<float> scales) : scales_(std::move(scales)) {}

  /// Takes scales that bitsandbytes quantised: scale i = values[codes[i]] * scales[i / 256] +
  /// offset. Throws ShapeError unless there is one of `scales` for each 256 codes.
  FourBitScales(std::vector<std::uint8_t> codes, std::vector<float> scales, float offset,
                const std::array<float, 256>& values)
      : codes_(std::move(codes)), scales_(std::move(scales)), offset_(offset), values_(values) {
    const std::size_t blocks =
        codes_.size() / nested_block + (codes_.size() % nested_block != 0 ? 1 : 0);
    if (scales_.size() != blocks)
      throw ShapeError(message("FourBitScales: ", scales_.size(), " scales of ", codes_.size(),
                               " codes, expected ", blocks));
  }

  /// Returns the scales quantised once more, about their mean.
  [[nodiscard]] static FourBitScales quantised(std::vector<float> scales) {
    double sum = 0;
    for (const float scale : scales) sum += static_cast<double>(scale);
    const auto mean =
        scales.empty() ? 0.0F : static_cast<float>(sum / static_cast<double>(scales.size()));
    for (float& scale : scales) scale -= mean;
    auto [codes, largest] = kernels::encode_dynamic(scales);
    return {std::move(codes), std::move(largest), mean, kernels::dynamic_values()};
  }

  /// Tells whether the scales are codes themselves.
  [[nodiscard]] bool is_nested() const { return !codes_.empty(); }

  /// Returns how many there are, one for each block.
  [[nodiscard]] std::size_t size() const { return is_nested() ? codes_.size() : scales_.size(); }

  /// Returns the bytes that they take.
  [[nodiscard]] std::size_t bytes() const { return codes_.size() + scales_.size() * sizeof(float); }

  /// Returns the scale of block `i`.
  [[nodiscard]] float operator()(std::size_t i) const {
    return is_nested() ? nested()(i) : scales_[i];
  }

  /// The scales of a double quantisation where they lie.
  struct Nested {
    const std::uint8_t* codes;
    const float* scales;
    const float* values;
    float offset;

    [[nodiscard]] EIGEN_ALWAYS_INLINE float operator()(std::size_t i) const {
      return rounded(values[codes[i]] * scales[i / nested_block]) + offset;
    }
  };

  /// Returns a view of them; there is one if is_nested().
  [[nodiscard]] Nested nested() const {
    return {codes_.data(), scales_.data(), values_.data(), offset_};
  }

  /// Scales that are floats, where they lie.
  struct Plain {
    const float* scales;

    [[nodiscard]] EIGEN_ALWAYS_INLINE float operator()(std::size_t i) const { return scales[i]; }
  };

  /// Returns a view of them; there is one if not is_nested().
  [[nodiscard]] Plain plain() const { return {scales_.data()}; }

 private:
  std::vector<std::uint8_t> codes_;
  std::vector<float> scales_;
  float offset_ = 0;
  std::array<float, 256> values_{};
};

}  // namespace lora
