#include <lora/kernels/amx_tiles.hpp>

#include <lora/kernels/emulated_tiles.hpp>
#include <lora/kernels/tiled_product.hpp>

#include <cstdint>
#include <thread>

#include "support/amx_by_signal.hpp"
#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/skip.hpp"
#include "support/threads.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::test;
using kernels::AmxTiles;
using kernels::EmulatedTiles;

namespace {

// Pairs of any bits: floats of every size, denormal ones too.
struct RandomPairs {
  void pairs(Index depth, Index column, std::uint16_t* to) const {
    const Matrix<float> numbers =
        random_matrix<float>(16, 32, static_cast<std::uint64_t>(1000 * depth + column));
    for (Index i = 0; i < numbers.size(); ++i)
      to[i] = i % 37 == 0 ? static_cast<std::uint16_t>(i % 128)
                          : kernels::bfloat16_of_float(numbers.data()[i]);
  }
};

// Compares the processor's product with the emulated one.
template <class Tiles = AmxTiles>
void compare(Index rows, Index depth, Index parts) {
  Matrix<float> x = random_matrix<float>(rows, depth, 1);
  x(0, 5) = 1e-39F;
  const Matrix<float> y0 = random_matrix<float>(rows, 75, 2);
  Matrix<float> real = y0, emulated = y0;
  kernels::add_tiled_product<Tiles>(x, RandomPairs(), parts, real);
  kernels::add_tiled_product<EmulatedTiles>(x, RandomPairs(), parts, emulated);
  CHECK(same_bits(real, emulated));
}

}  // namespace

TEST_CASE("asking for tiles harms no processor and always gets one answer") {
  const bool here = AmxTiles::available();
  bool there = !here;
  std::thread([&] { there = AmxTiles::available(); }).join();
  CHECK(here == there);
  if (here) CHECK(AmxTiles::built);
}

TEST_CASE("the instructions for tiles name the tiles and addresses of a product") {
  if constexpr (AmxTiles::built) {
    if (AmxTiles::available()) return skip_test("AMX: the next test runs on the processor's tiles");
    const Threads one(1);
    const AmxBySignal processor;
    for (const Index parts : {1, 2}) {
      CAPTURE(parts);
      compare(23, 70, parts);
    }
    CHECK(AmxBySignal::instructions() > 100);
  } else {
    skip_test("no AMX");
  }
}

TEST_CASE("a processor's tiles give the bits of emulated ones") {
  if constexpr (AmxTiles::built) {
    if (!AmxTiles::available()) return skip_test("no AMX");
    for (const Index rows : {1, 16, 23, 600})
      for (const Index parts : {1, 2}) {
        CAPTURE(rows, parts);
        compare(rows, 600, parts);
      }
  } else {
    skip_test("no AMX");
  }
}
