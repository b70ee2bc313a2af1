#include <lora/core/place.hpp>

#include <lora/core/error.hpp>

#include "support/catch.hpp"

TEST_CASE("a place names the layer where it has a name") {
  using lora::Place;
  CHECK(lora::message(Place{"LoRALinear::forward"}) == "LoRALinear::forward");
  CHECK(lora::message(Place{"LoRALinear::forward", "encoder.0.query"}) ==
        "encoder.0.query (LoRALinear::forward)");
}
