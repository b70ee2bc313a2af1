#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <new>
#include <type_traits>
#include <vector>

#include "lora/core/matrix.hpp"

namespace lora {

/// Lends short-lived working memory to a kernel: every array taken is 64-byte aligned,
/// uninitialised, and goes back when the Scratch leaves its scope.
///
/// The memory belongs to the thread and is kept for the next call, so a kernel that is called
/// again with the same shapes allocates nothing. Scratches of one thread nest like the calls that
/// make them. What lies there is never read by a later call: it is memory, not state.
class Scratch {
 public:
  Scratch() : arena_(arena_of_this_thread()), block_(arena_.block), used_(arena_.used) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    arena_.block = block_;
    arena_.used = used_;
    if (arena_.block == 0 && arena_.used == 0) arena_.make_one_block();
  }

  /// Returns `count` scalars of uninitialised memory; throws std::bad_alloc.
  template <class T>
  requires std::is_trivially_destructible_v<T>
  [[nodiscard]] T* take(Index count) {
    // NOLINTNEXTLINE(bugprone-sizeof-expression): T may be a pointer.
    return static_cast<T*>(arena_.take(static_cast<std::size_t>(count) * sizeof(T)));
  }

  /// Returns a (rows, cols) matrix of uninitialised memory; throws std::bad_alloc.
  template <class T>
  [[nodiscard]] MatrixRef<T> matrix(Index rows, Index cols) {
    return {take<T>(rows * cols), rows, cols, cols};
  }

  /// Returns the bytes that this thread holds for its scratches.
  [[nodiscard]] static std::size_t bytes_held() {
    std::size_t sum = 0;
    for (const Block& block : arena_of_this_thread().blocks) sum += block.size;
    return sum;
  }

 private:
  static constexpr std::size_t alignment = 64;

  struct Free {
    void operator()(std::byte* memory) const {
      ::operator delete (memory, std::align_val_t{alignment});
    }
  };

  struct Block {
    explicit Block(std::size_t bytes)
        : memory(static_cast<std::byte*>(::operator new (bytes, std::align_val_t{alignment}))),
          size(bytes) {}
    std::unique_ptr<std::byte, Free> memory;
    std::size_t size;
  };

  struct Arena {
    std::vector<Block> blocks;
    std::size_t block = 0;  // where the next array is looked for
    std::size_t used = 0;   // bytes taken of blocks[block]

    void* take(std::size_t bytes) {
      bytes = (bytes + alignment - 1) / alignment * alignment;
      while (block < blocks.size() && blocks[block].size - used < bytes) {
        ++block;
        used = 0;
      }
      if (block == blocks.size()) blocks.emplace_back(std::max(bytes, std::size_t{1} << 16));
      void* memory = blocks[block].memory.get() + used;
      used += bytes;
      return memory;
    }

    // Several blocks mean that the first call outgrew the arena: with one block of their sum the
    // same calls fit from now on, whatever their order.
    void make_one_block() noexcept {
      if (blocks.size() < 2) return;
      std::size_t sum = 0;
      for (const Block& each : blocks) sum += each.size;
      try {
        std::vector<Block> one;
        one.emplace_back(sum);
        blocks = std::move(one);
      } catch (const std::bad_alloc&) {
        return;  // the blocks at hand go on serving
      }
    }
  };

  static Arena& arena_of_this_thread() {
    static thread_local Arena arena;
    return arena;
  }

  Arena& arena_;
  std::size_t block_;
  std::size_t used_;
};

}  // namespace lora
