#include "examples/support/peak_memory.hpp"

#include <vector>

#include "support/catch.hpp"
#include "support/skip.hpp"

using namespace examples;

TEST_CASE("a peak of memory counts what is there at once, and not what was freed before") {
  if (!reset_peak_memory()) {
    lora::test::skip_test("this system does not let the peak of memory begin anew");
    return;
  }
  const double before = peak_memory_mib();
  CHECK(before > 0);
  constexpr std::size_t mib = 1 << 20;
  {
    std::vector<char> large(64 * mib, 'x');
    // Many small ones, which the allocator does not give back by itself.
    std::vector<std::vector<char>> small;
    for (int i = 0; i < 512; ++i) small.emplace_back(mib / 16, large[mib]);
    CHECK(peak_memory_mib() > before + 90);
  }
  CHECK(peak_memory_mib() > before + 90);
  CHECK(reset_peak_memory());
  CHECK(peak_memory_mib() < before + 16);
}
