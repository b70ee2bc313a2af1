#pragma once

#include <concepts>

namespace lora {

/// Returns `value` as it is, in a way that the compiler cannot look through. Compilers may contract
/// a product and a sum into a fused multiply-add, which rounds once instead of twice, so that last
/// bits differ between processors. `rounded(a * b) + c` is rounded twice everywhere.
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
