#pragma once

#include <Eigen/Core>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "lora/core/error.hpp"
#include "lora/core/finite.hpp"
#include "lora/core/matrix.hpp"
#include "lora/io/dtype.hpp"

namespace lora::io {

// The format is little-endian, and elements are copied as they lie in memory.
static_assert(std::endian::native == std::endian::little,
              "lora reads and writes files on little-endian machines alone");
static_assert(sizeof(Eigen::half) == 2 && sizeof(Eigen::bfloat16) == 2);

/// Rounds to float so that a second rounding, to 22 bits or fewer, gives what rounding once would:
/// towards zero, and the last bit set if anything was lost (Boldo and Melquiond, "When double
/// rounding is odd", 2005). NaN and infinities stay.
[[nodiscard]] inline float round_to_odd(double value) {
  const auto nearest = static_cast<float>(value);
  if (!is_finite(value) || static_cast<double>(nearest) == value) return nearest;
  auto bits = std::bit_cast<std::uint32_t>(nearest);
  // Magnitudes are ordered as their bits; an infinity steps back to the largest finite number.
  if (std::abs(static_cast<double>(nearest)) > std::abs(value)) --bits;
  return std::bit_cast<float>(bits | 1U);
}

/// Converts one number to another floating type, to the nearest, ties to even; too large becomes
/// infinite, NaN stays NaN. From, To: float, double, Eigen::half, Eigen::bfloat16.
template <class To, class From>
[[nodiscard]] To convert_number(From value) {
  if constexpr (sizeof(To) == 2 && std::is_same_v<From, double>)
    return static_cast<To>(round_to_odd(value));  // Eigen's cast would round twice
  else if constexpr (sizeof(From) == 2)
    return static_cast<To>(static_cast<float>(value));
  else
    return static_cast<To>(value);
}

/// Calls action(x), x an object of the C++ type that holds elements of `dtype`. Throws FileError,
/// naming `what`, for a type that is not a floating one of F64, F32, F16, BF16.
template <class Action>
void with_floating_type(DType dtype, const std::string& what, const Action& action) {
  switch (dtype) {
    case DType::F64:
      return action(double{});
    case DType::F32:
      return action(float{});
    case DType::F16:
      return action(Eigen::half{});
    case DType::BF16:
      return action(Eigen::bfloat16{});
    default:
      throw FileError(
          message(what, ": dtype is ", name_of(dtype), ", expected one of F64, F32, F16, BF16"));
  }
}

/// Reads `count` elements of `dtype` at `bytes`, which need not be aligned, into `out`. Throws
/// FileError, naming `what`, for other dtypes and for a finite number outside T's range.
template <class T>
void decode(const std::byte* bytes, DType dtype, Index count, T* out, const std::string& what) {
  with_floating_type(dtype, what, [&](auto stored) {
    for (Index i = 0; i < count; ++i) {
      std::memcpy(static_cast<void*>(&stored), bytes + i * Index{sizeof(stored)}, sizeof(stored));
      out[i] = convert_number<T>(stored);
      if constexpr (sizeof(stored) > sizeof(T))
        if (!is_finite(out[i]) && is_finite(stored))
          throw FileError(message(what, ": element ", i, " is ", stored, ", too large for ",
                                  name_of(dtype_of<T>)));
    }
  });
}

/// Writes `count` numbers as elements of `dtype` to `bytes`. Throws FileError, naming `what`, for
/// dtypes other than F64, F32, F16, BF16 and for a finite number outside their range.
template <class T>
void encode(const T* numbers, Index count, DType dtype, std::byte* bytes, const std::string& what) {
  with_floating_type(dtype, what, [&](auto stored) {
    for (Index i = 0; i < count; ++i) {
      stored = convert_number<decltype(stored)>(numbers[i]);
      if constexpr (sizeof(stored) < sizeof(T))
        if (!is_finite(static_cast<float>(stored)) && is_finite(numbers[i]))
          throw FileError(message(what, ": element ", i, " is ", numbers[i], ", too large for ",
                                  name_of(dtype)));
      std::memcpy(bytes + i * Index{sizeof(stored)}, static_cast<const void*>(&stored),
                  sizeof(stored));
    }
  });
}

}  // namespace lora::io
