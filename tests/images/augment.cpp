#include <lora/images/augment.hpp>

#include <set>
#include <string>

#include "support/catch.hpp"
#include "support/random_matrix.hpp"
#include "support/throws.hpp"
#include "support/tolerance.hpp"

using namespace lora;
using namespace lora::images;
using namespace lora::test;

TEST_CASE("images are flipped and moved by the seed, each in its own way") {
  const ImageShape size{64, 3, 4};
  // Every pixel says where it is from.
  Matrix<float> x(size.rows(), 1), y, again;
  for (Index i = 0; i < x.rows(); ++i) x(i, 0) = static_cast<float>(1 + i % 12);
  const Augmentation how{.flip = true, .padding = 1};
  augment<float>(x, size, how, 7, 3, y);
  augment<float>(x, size, how, 7, 3, again);
  CHECK(same_bits(y, again));
  augment<float>(x, size, how, 7, 4, again);
  CHECK(!same_bits(y, again));
  // All 18 ways come, and nothing else.
  std::set<std::string> ways;
  for (Index image = 0; image < size.images; ++image) {
    std::string way;
    for (Index i = 0; i < 12; ++i) way += std::to_string(y(image * 12 + i, 0)) + " ";
    ways.insert(way);
  }
  CHECK(ways.size() > 12);
  CHECK(ways.size() <= 18);
  augment<float>(x, size, {.flip = false, .padding = 0}, 7, 3, y);
  CHECK(same_bits(y, x));
  bool flipped = false, kept = false;
  augment<float>(x, size, {}, 1, 1, y);
  for (Index image = 0; image < size.images; ++image) {
    flipped = flipped || y(image * 12, 0) == 4;
    kept = kept || y(image * 12, 0) == 1;
  }
  CHECK(flipped);
  CHECK(kept);
  check_throws<ConfigError>([&] { augment<float>(x, size, {.padding = -1}, 1, 1, y); },
                            "padding is -1");
}
