#include <sys/mman.h>

#include <lora/frozen/mapped_weight.hpp>
#include <lora/layers/lora_linear.hpp>

#include "support/allocations.hpp"
#include "support/catch.hpp"

using namespace lora;

TEST_CASE("wrapping a mapped matrix of 1 GB allocates the adapter and nothing else") {
  const Index out = 16384, in = 16384, rank = 8;
  const std::size_t bytes = static_cast<std::size_t>(out * in) * sizeof(float);
  REQUIRE(bytes == std::size_t{1} << 30);
  // Read-only pages that take no memory until they are touched.
  void* memory =
      mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  {
    const MappedWeight<float> weight(static_cast<const float*>(memory), out, in);
    const auto taken = test::allocations_of([&] {
      LoRALinear<float, MappedWeight<float>> layer(weight, {.rank = rank, .alpha = 16}, 1);
      CHECK_THROWS_AS(layer.merge(), StateError);
    });
    const std::size_t adapter = static_cast<std::size_t>(rank * (out + in)) * sizeof(float);
    // A and B and their gradients, and some names and messages.
    CHECK(taken.bytes >= 2 * adapter);
    CHECK(taken.bytes < 2 * adapter + 16384);
  }
  munmap(memory, bytes);
}
