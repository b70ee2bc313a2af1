#pragma once

#include <concepts>

namespace lora {

/// Returns `value` as it is. Compilers may join a product and the sum that it goes into, which
/// rounds once instead of twice and gives other last bits from processor to processor; `rounded(a *
/// b) + c` is rounded twice everywhere.
template <std::floating_point T>
[[nodiscard]] inline T rounded(T value) {
#if defined(__SSE2__)
  asm("" : "+x"(value));
#elif defined(__aarch64__)
  asm("" : "+w"(value));
#else
  asm("" : "+m"(value));
#endif
  return value;
}

}  // namespace lora
