#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace lora::text {

namespace detail {

inline constexpr std::string_view hexadecimal = "0123456789ABCDEF";

}  // namespace detail

/// Returns the token that stands for a byte in vocabularies with byte_fallback: "<0x0A>".
[[nodiscard]] inline std::string fallback_token(unsigned char byte) {
  std::string token = "<0x..>";
  token[3] = detail::hexadecimal[byte >> 4];
  token[4] = detail::hexadecimal[byte & 0xF];
  return token;
}

/// Returns the byte that such a token stands for; nothing for another token.
[[nodiscard]] inline std::optional<unsigned char> byte_of_fallback_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  const std::size_t high = detail::hexadecimal.find(token[3]);
  const std::size_t low = detail::hexadecimal.find(token[4]);
  if (high == std::string_view::npos || low == std::string_view::npos) return std::nullopt;
  return static_cast<unsigned char>(high << 4 | low);
}

}  // namespace lora::text
