#include "support/allocations.hpp"

#include <atomic>
#include <cerrno>
#include <cstdlib>

namespace {
std::atomic<std::size_t> count{0};
std::atomic<std::size_t> bytes{0};

[[maybe_unused]] void note(std::size_t size) {
  count.fetch_add(1, std::memory_order_relaxed);
  bytes.fetch_add(size, std::memory_order_relaxed);
}
}  // namespace

namespace lora::test {
Allocations allocations_so_far() { return {count.load(), bytes.load()}; }
}  // namespace lora::test

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define LORA_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LORA_TEST_SANITIZED 1
#endif
#endif

#ifdef LORA_TEST_SANITIZED
// The sanitizer owns malloc; it calls this for every allocation.
extern "C" void __sanitizer_malloc_hook(const volatile void*, std::size_t size) { note(size); }
extern "C" void __sanitizer_free_hook(const volatile void*) {}
#elif defined(__linux__)
// glibc lets a program put its own functions in front of malloc's.
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);

void* malloc(std::size_t size) {
  note(size);
  return __libc_malloc(size);
}
void* calloc(std::size_t n, std::size_t size) {
  note(n * size);
  return __libc_calloc(n, size);
}
void* realloc(void* old, std::size_t size) {
  note(size);
  return __libc_realloc(old, size);
}
void* memalign(std::size_t alignment, std::size_t size) {
  note(size);
  return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  note(size);
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
  note(size);
  *memory = __libc_memalign(alignment, size);
  return *memory == nullptr ? ENOMEM : 0;
}
}
#else
// Other systems' libraries keep theirs, and nothing is counted.
#endif
