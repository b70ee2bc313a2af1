#include <lora/core/scratch.hpp>

#include <cstdint>
#include <cstring>

#include "support/allocations.hpp"
#include "support/catch.hpp"

using namespace lora;

namespace {
// Takes arrays in nested scopes and checks that no two that live together overlap.
bool nest(int depth, Index size) {
  Scratch scratch;
  auto* mine = scratch.take<unsigned char>(size);
  if (reinterpret_cast<std::uintptr_t>(mine) % 64 != 0) return false;
  std::memset(mine, depth, static_cast<std::size_t>(size));
  const bool inner = depth == 0 || nest(depth - 1, size * 3 + 1);
  bool intact = true;
  for (Index i = 0; i < size; ++i) intact = intact && mine[i] == depth;
  return inner && intact;
}
}  // namespace

TEST_CASE("scratch arrays are aligned, apart, and cost nothing the second time") {
  CHECK(nest(8, 100));
  const auto second = test::allocations_of([] { CHECK(nest(8, 100)); });
  const auto checks_alone = test::allocations_of([] { CHECK(true); });
  CHECK(second.count <= checks_alone.count);
  CHECK(Scratch::bytes_held() > 0);
}

TEST_CASE("scratch gives an empty array without ado") {
  Scratch scratch;
  static_cast<void>(scratch.take<double>(0));
  auto m = scratch.matrix<float>(3, 4);
  m.setConstant(1);
  CHECK(m.sum() == 12);
}
