#pragma once

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace lora::train {

/// A short number that stands for data, to tell whether a run that goes on has the same: FNV-1a of
/// 64 bits over all that was added, in order. It is no defence against who wants to deceive it.
class Fingerprint {
 public:
  /// Adds an integer; the same number of any type counts as the same.
  template <std::integral Integer>
  Fingerprint& add(Integer number) {
    auto bits = static_cast<std::uint64_t>(number);
    for (int byte = 0; byte < 8; ++byte, bits >>= 8) add_byte(static_cast<unsigned char>(bits));
    return *this;
  }

  /// Adds text or bytes, and their length, so that "ab", "c" is not "a", "bc".
  Fingerprint& add(std::string_view text) {
    add(text.size());
    for (const char c : text) add_byte(static_cast<unsigned char>(c));
    return *this;
  }
  Fingerprint& add(const std::string& text) { return add(std::string_view(text)); }
  Fingerprint& add(const char* text) { return add(std::string_view(text)); }

  /// Adds the elements of a range, and their number.
  template <class Range>
  requires requires(const Range& range) {
    range.begin();
    range.end();
    range.size();
  }
  Fingerprint& add(const Range& range) {
    add(range.size());
    for (const auto& each : range) add(each);
    return *this;
  }

  /// Returns 16 hexadecimal digits.
  [[nodiscard]] std::string text() const {
    std::string digits(16, '0');
    for (std::size_t i = 0; i < 16; ++i)
      digits[15 - i] = "0123456789abcdef"[state_ >> (4 * i) & 15U];
    return digits;
  }

 private:
  void add_byte(unsigned char byte) { state_ = (state_ ^ byte) * 0x100000001B3ULL; }

  std::uint64_t state_ = 0xCBF29CE484222325ULL;
};

}  // namespace lora::train
