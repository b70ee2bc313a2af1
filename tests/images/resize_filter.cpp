#include <lora/images/resize_filter.hpp>

#include "support/catch.hpp"

using namespace lora;
using namespace lora::images;

TEST_CASE("the weights of a pixel add up to one, within the image") {
  for (int how = 1; how < 6; ++how)
    for (const lora::Index out : {1, 7, 20, 45}) {
      CAPTURE(how, out);
      const auto line = images::detail::line_weights(static_cast<Resampling>(how), 20, out, 0, out);
      REQUIRE(static_cast<lora::Index>(line.size()) == out);
      for (const auto& pixel : line) {
        std::int64_t sum = 0;
        for (const auto weight : pixel.weights) sum += weight;
        CHECK(std::abs(sum - (1 << images::detail::LineWeights::precision)) < 32);
        CHECK(pixel.first >= 0);
        CHECK(pixel.first + static_cast<lora::Index>(pixel.weights.size()) <= 20);
      }
    }
}
