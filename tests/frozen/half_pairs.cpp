#include <lora/frozen/half_pairs.hpp>

#include <lora/frozen/half_weight.hpp>

#include <array>
#include <cstdint>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"

using namespace lora;
using kernels::BFloat16Format;

namespace {

// Tells whether every tile of `pairs` has number(depth, column) in its place, and zeros elsewhere.
template <class Pairs, class Number>
bool has_all(const Pairs& pairs, Index depth, Index columns, const Number& number) {
  bool same = true;
  for (Index d = 0; d < depth; d += 32)
    for (Index c = 0; c < columns + 16; c += 16) {  // one tile too many, as a product may ask
      std::array<std::uint16_t, 512> tile;
      tile.fill(7);
      pairs.pairs(d, c, tile.data());
      for (Index k = 0; k < 32; ++k)
        for (Index j = 0; j < 16; ++j) {
          const bool there = d + k < depth && c + j < columns;
          const auto found = tile[static_cast<std::size_t>(k / 2 * 32 + 2 * j + k % 2)];
          same = same && found == (there ? number(d + k, c + j) : 0);
        }
    }
  return same;
}

}  // namespace

TEST_CASE("tiles of pairs hold a packed weight in both directions") {
  // Both sides of a vector, of a panel and of a tile.
  for (const Index out : {1, 15, 16, 31, 47, 48, 64, 97, 193})
    for (const Index in : {1, 2, 31, 32, 63, 80}) {
      CAPTURE(out, in);
      const HalfWeight<float> weight(test::random_matrix<float>(out, in, 1));
      CHECK(has_all(HalfPairs<BFloat16Format>{weight.panels()}, in, out,
                    [&](Index i, Index o) { return weight.bits(o, i); }));
      CHECK(has_all(TransposedHalfPairs<BFloat16Format>{weight.panels()}, out, in,
                    [&](Index o, Index i) { return weight.bits(o, i); }));
    }
}
