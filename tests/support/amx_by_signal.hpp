#pragma once

#include <lora/kernels/amx_tiles.hpp>
#include <lora/kernels/emulated_tiles.hpp>

#if defined(__x86_64__) && defined(__linux__)
#include <csignal>
#include <cstdint>
#include <cstring>
#include <new>
#include <utility>

#include <ucontext.h>
#endif

namespace lora::test {

#if defined(__x86_64__) && defined(__linux__)

/// Lets a processor without AMX run the instructions of AmxTiles for its scope, in one thread: each
/// raises SIGILL, and the handler reads its operands and does on EmulatedTiles what the manual
/// says. Shows that the right tiles and addresses stand in the instructions.
class AmxBySignal {
 public:
  AmxBySignal() {
    struct sigaction action {};
    action.sa_sigaction = run;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGILL, &action, &before_);
    instructions() = 0;
  }
  AmxBySignal(const AmxBySignal&) = delete;
  AmxBySignal& operator=(const AmxBySignal&) = delete;
  ~AmxBySignal() { sigaction(SIGILL, &before_, nullptr); }

  /// Returns how many instructions the handler has run.
  [[nodiscard]] static long& instructions() {
    static long count = 0;
    return count;
  }

 private:
  using Registers = greg_t*;

  static kernels::EmulatedTiles& tiles() {
    static kernels::EmulatedTiles all;
    return all;
  }

  // Calls f<tile>(): what an instruction names is a number of the program here.
  template <class F>
  static void with_tile(int tile, const F& f) {
    [&]<int... i>(std::integer_sequence<int, i...>) {
      ((i == tile ? f.template operator()<i>() : void()), ...);
    }
    (std::make_integer_sequence<int, 8>{});
  }

  static long long value(Registers registers, int number) {
    static constexpr int order[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP,
                                      REG_RSI, REG_RDI, REG_R8,  REG_R9,  REG_R10, REG_R11,
                                      REG_R12, REG_R13, REG_R14, REG_R15};
    return registers[order[number]];
  }

  static void run(int, siginfo_t*, void* context) {
    Registers registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    const long long length =
        run_at(reinterpret_cast<const std::uint8_t*>(registers[REG_RIP]), registers);
    registers[REG_RIP] += length;
    ++instructions();
    // Another instruction than these ends the program as it would without this handler.
    if (length == 0) std::signal(SIGILL, SIG_DFL);
  }

  // Returns the bytes of the instruction at `at`, 0 if it is not one of AMX: a VEX prefix of three
  // bytes, opcode, ModRM, and what an address takes.
  static long long run_at(const std::uint8_t* at, Registers registers) {
    if (at[0] != 0xC4 || (at[1] & 0x1F) != 2 || (at[2] & 0x84) != 0) return 0;
    const auto bit = [&](int shift) { return (at[1] >> shift & 1) != 0 ? 0 : 8; };
    const int prefix = at[2] & 3, opcode = at[3];
    const int mod = at[4] >> 6, reg = (at[4] >> 3 & 7) + bit(7), rm = at[4] & 7;
    if (opcode == 0x49 && prefix == 0 && at[4] == 0xC0) return 5;  // tilerelease
    if (opcode == 0x5C && prefix == 2 && mod == 3) {
      multiply(reg, rm + bit(5), ~(at[2] >> 3) & 15);
      return 5;
    }
    if (mod == 3) return 0;
    long long length = 5, address = 0, stride = 0;
    const auto offset = [&](int bytes) {
      std::int32_t number = static_cast<std::int8_t>(at[length]);
      if (bytes == 4) std::memcpy(&number, at + length, 4);
      length += bytes;
      return number;
    };
    if (rm == 4) {
      const int sib = at[length++], index = (sib >> 3 & 7) + bit(6), base = (sib & 7) + bit(5);
      if (index != 4) stride = value(registers, index) << (sib >> 6);
      if (mod == 0 && base % 8 == 5) return 0;
      address = value(registers, base);
    } else if (rm == 5 && mod == 0) {
      address = offset(4) + reinterpret_cast<long long>(at) + length;
    } else {
      address = value(registers, rm + bit(5));
    }
    if (mod != 0) address += offset(mod == 1 ? 1 : 4);
    void* const memory = reinterpret_cast<void*>(address);
    if (opcode == 0x49 && prefix == 0) return configure(memory) ? length : 0;
    if (opcode != 0x4B || prefix < 2) return 0;
    with_tile(reg, [&]<int i> {
      prefix == 3 ? tiles().load<i>(memory, stride) : tiles().store<i>(memory, stride);
    });
    return length;
  }

  static void multiply(int c, int a, int b) {
    with_tile(c, [&]<int i> {
      with_tile(a, [&]<int j> { with_tile(b, [&]<int k> { tiles().multiply<i, j, k>(); }); });
    });
  }

  // Tiles are emulated in one shape: palette 1, all of 16 rows of 64 bytes.
  static bool configure(const void* memory) {
    std::uint8_t expected[64] = {1};
    for (int tile = 0; tile < 8; ++tile) {
      expected[16 + 2 * tile] = 64;
      expected[48 + tile] = 16;
    }
    new (&tiles()) kernels::EmulatedTiles{};
    return std::memcmp(memory, expected, sizeof(expected)) == 0;
  }

  struct sigaction before_ {};
};

#else

/// There are no such instructions.
class AmxBySignal {
 public:
  AmxBySignal() {}
  [[nodiscard]] static long instructions() { return 0; }
};

#endif

}  // namespace lora::test
