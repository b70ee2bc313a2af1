#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>

namespace lora::io {

/// The element types of the safetensors format, in the order of its reference
/// implementation, by which files sort their tensors. F64, F32, F16 and BF16 can be computed with;
/// the others can be listed, passed on as bytes and written.
enum class DType : std::uint8_t {
  BOOL,
  F4,
  F6_E2M3,
  F6_E3M2,
  U8,
  I8,
  F8_E5M2,
  F8_E4M3,
  F8_E8M0,
  F8_E4M3FNUZ,
  F8_E5M2FNUZ,
  I16,
  U16,
  F16,
  BF16,
  I32,
  U32,
  F32,
  C64,
  F64,
  I64,
  U64,
};

/// What is known of a DType: its name in files and the bits of one element.
struct DTypeInfo {
  std::string_view name;
  unsigned bits;
};

/// The types in the order of DType.
inline constexpr std::array<DTypeInfo, 22> dtype_table{{
    {"BOOL", 8},        {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},
    {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8},
    {"F8_E5M2FNUZ", 8}, {"I16", 16},    {"U16", 16},    {"F16", 16},    {"BF16", 16},
    {"I32", 32},        {"U32", 32},    {"F32", 32},    {"C64", 64},    {"F64", 64},
    {"I64", 64},        {"U64", 64},
}};

/// Returns the name that files use: "F32", "BF16" ...
[[nodiscard]] constexpr std::string_view name_of(DType dtype) {
  return dtype_table[static_cast<std::size_t>(dtype)].name;
}

/// Returns the bits of one element: the smallest types take less than a byte.
[[nodiscard]] constexpr unsigned bits_of(DType dtype) {
  return dtype_table[static_cast<std::size_t>(dtype)].bits;
}

/// Returns the type of that name in files, or nothing.
[[nodiscard]] constexpr std::optional<DType> dtype_named(std::string_view name) {
  for (std::size_t i = 0; i < dtype_table.size(); ++i)
    if (dtype_table[i].name == name) return static_cast<DType>(i);
  return std::nullopt;
}

/// Tells whether elements of the type convert to and from float and double.
[[nodiscard]] constexpr bool is_floating(DType dtype) {
  return dtype == DType::F64 || dtype == DType::F32 || dtype == DType::F16 || dtype == DType::BF16;
}

/// The type that holds T, float or double, bit for bit.
template <class T>
requires(std::is_same_v<T, float> ||
         std::is_same_v<T, double>) inline constexpr DType dtype_of = std::is_same_v<T, float>
                                                                          ? DType::F32
                                                                          : DType::F64;

}  // namespace lora::io
