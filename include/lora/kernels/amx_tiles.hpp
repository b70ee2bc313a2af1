#pragma once

#include "lora/core/matrix.hpp"

// A compiler with its own header of these instructions has an assembler that knows them.
#if defined(__x86_64__) && defined(__linux__) && \
    (__has_include(<amxbf16intrin.h>) || __has_include(<amxintrin.h>))  // GCC's, clang's

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdint>

namespace lora::kernels {

/// The matrix tiles of a processor with Intel's AMX: eight of 16 rows of 64 bytes, in the thread
/// that makes an object, as long as that lives. Instructions are written out: compilers would let
/// their own functions for them stand only in code that is compiled for no other processor.
///
/// At most one object a thread at a time. `available()` goes before the first.
class AmxTiles {
 public:
  /// Tells that products are made of tiles at all.
  static constexpr bool built = true;

  /// Tells whether the processor has tiles for bfloat16 and Linux lets this process use them, which
  /// the first call asks for. Any number of calls may run at once.
  [[nodiscard]] static bool available() {
    static const bool yes = ask();
    return yes;
  }

  /// Gives the thread its tiles, all of them zeros.
  AmxTiles() {
    // Palette 1; byte 16 on: bytes of a row (16 bits each); byte 48 on: rows.
    alignas(64) std::array<std::uint8_t, 64> shape{};
    shape[0] = 1;
    for (std::size_t tile = 0; tile < 8; ++tile) {
      shape[16 + 2 * tile] = 64;
      shape[48 + tile] = 16;
    }
    asm volatile("{ldtilecfg %0|ldtilecfg %0}" ::"m"(shape));
  }
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;
  /// Takes them back.
  ~AmxTiles() { asm volatile("tilerelease"); }

  /// Reads 16 rows of 64 bytes, `stride` bytes apart, into tile `Tile`.
  template <int Tile>
  void load(const void* from, Index stride) {
    asm volatile("{tileloadd (%0,%1,1), %%tmm%c2|tileloadd tmm%c2, [%0+%1*1]}" ::"r"(from),
                 "r"(stride), "i"(Tile)
                 : "memory");
  }

  /// Writes tile `Tile` as 16 rows of 64 bytes, `stride` bytes apart.
  template <int Tile>
  void store(void* to, Index stride) const {
    asm volatile("{tilestored %%tmm%c2, (%0,%1,1)|tilestored [%0+%1*1], tmm%c2}" ::"r"(to),
                 "r"(stride), "i"(Tile)
                 : "memory");
  }

  /// Adds A B to tile `C` of floats, as EmulatedTiles::multiply says.
  template <int C, int A, int B>
  void multiply() {
    asm volatile(
        "{tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0|tdpbf16ps tmm%c0, tmm%c1, tmm%c2}" ::"i"(C),
        "i"(A), "i"(B));
  }

 private:
  static bool ask() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c >> 27 & 1U) == 0) return false;  // xgetbv
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
    if ((d >> 22 & 1U) == 0 || (d >> 24 & 1U) == 0) return false;  // AMX-BF16, AMX-TILE
    // The system saves the tiles of a thread that it interrupts: bits 17 and 18 of XCR0.
    std::uint32_t low = 0, high = 0;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    if ((low >> 17 & 3U) != 3) return false;
    // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA: without leave the first tile raises SIGILL.
    return ::syscall(SYS_arch_prctl, 0x1023, 18) == 0;
  }
};

}  // namespace lora::kernels

#else

namespace lora::kernels {

/// The place of AmxTiles where none can be built: nothing is made of it.
class AmxTiles {
 public:
  /// Tells that no product is made of tiles.
  static constexpr bool built = false;

  /// Returns false.
  [[nodiscard]] static bool available() { return false; }
};

}  // namespace lora::kernels

#endif
